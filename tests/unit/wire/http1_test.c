/* tests/unit/wire/http1_test.c - which heads the parser accepts, and which it refuses */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/own.h"
#include "wire/http1.h"

#define ROOM 256
static struct http1_field room[ROOM];
#define HEAD                                                                             \
    {                                                                                    \
        .fields = room, .room = ROOM                                                     \
    }

/* A head in memory of exactly its size, so that a sanitizer detects any access beyond
 * it. */
static enum err parse(struct str text, struct http1_head *head, bool request,
                      struct str method)
{
    AUTO_FREE char *exact = xmalloc(text.len + 1);
    char *in = exact + 1;
    memcpy(in, text.at, text.len);
    return request ? http1_request_parse(in, text.len, head)
                   : http1_response_parse(in, text.len, method, head);
}

static void must_parse(struct str text, struct http1_head *head)
{
    enum err e = http1_request_parse(text.at, text.len, head);
    if (e)
        fail_msg("%.*s: %s", STR_ARG(text), head->problem);
    assert_null(head->problem);
}

static void must_answer(struct str text, const char *method, struct http1_head *head)
{
    enum err e = http1_response_parse(text.at, text.len, str_of(method), head);
    if (e)
        fail_msg("%.*s: %s", STR_ARG(text), head->problem);
    assert_null(head->problem);
}

static void is(struct str s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.at, expected, s.len);
}

/* RFC 9112, section 2.1, and its answer from RFC 9110, section 3.9. */
static const char rfc_request[] = "GET /hello.txt HTTP/1.1\r\n"
                                  "User-Agent: curl/7.64.1\r\n"
                                  "Host: www.example.com\r\n"
                                  "Accept-Language: en, mi\r\n"
                                  "\r\n";

static const char rfc_answer[] = "HTTP/1.1 200 OK\r\n"
                                 "Date: Mon, 27 Jul 2009 12:28:53 GMT\r\n"
                                 "Server: Apache\r\n"
                                 "ETag: \"34aa387-d-1568eb00\"\r\n"
                                 "Content-Length: 51\r\n"
                                 "Vary: Accept-Encoding\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "\r\n";

static void reads_the_rfc_request(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(str_of(rfc_request), &head);

    is(head.method, "GET");
    is(head.target, "/hello.txt");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.count, 3);
    assert_int_equal(head.fields[0].id, FIELD_USER_AGENT);
    is(head.fields[0].name, "User-Agent");
    is(head.fields[0].value, "curl/7.64.1");
    is(head.fields[0].line, "User-Agent: curl/7.64.1\r\n");
    assert_ptr_equal(head.host, &head.fields[1]);
    assert_int_equal(head.fields[2].id, FIELD_OTHER);
    assert_int_equal(head.framing, BODY_NONE);
    assert_true(head.keep_alive);
    assert_false(head.upgrade);
    assert_false(head.expect_continue);
}

static void reads_the_rfc_answer(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_answer(str_of(rfc_answer), "GET", &head);

    assert_int_equal(head.status, 200);
    is(head.reason, "OK");
    assert_int_equal(head.count, 6);
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_int_equal(head.length, 51);
    assert_true(head.keep_alive);
    is(http1_find(&head, FIELD_CONTENT_TYPE)->value, "text/plain");
    assert_null(http1_find(&head, FIELD_HOST));
}

static void adjacent_field_lines_adjoin(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_answer(str_of(rfc_answer), "GET", &head);

    for (size_t i = 1; i < head.count; i++)
        assert_ptr_equal(head.fields[i - 1].line.at + head.fields[i - 1].line.len,
                         head.fields[i].line.at);
    struct str last = head.fields[head.count - 1].line;
    assert_ptr_equal(last.at + last.len, rfc_answer + strlen(rfc_answer) - 2);
}

static void finds_the_end_byte_by_byte(void **state)
{
    (void)state;
    size_t scanned = 0, end = 0;
    size_t whole = strlen(rfc_request);
    AUTO_FREE char *in = xasprintf("%sPOST / HTTP/1.1\r\n\r\n", rfc_request);

    for (size_t len = 0; len < whole; len++) {
        assert_int_equal(http1_head_end(in, len, &scanned, &end), ERR_AGAIN);
        assert_int_equal(scanned, len);
        assert_int_equal(end, 0);
    }
    assert_int_equal(http1_head_end(in, whole, &scanned, &end), OK);
    assert_int_equal(end, whole);
}

static void finds_the_end_from_every_split(void **state)
{
    (void)state;
    size_t whole = strlen(rfc_answer);
    AUTO_FREE char *in = xasprintf("%sbody\r\n\r\n", rfc_answer);

    for (size_t split = 0; split < whole; split++) {
        size_t scanned = 0, end = 0;
        assert_int_equal(http1_head_end(in, split, &scanned, &end), ERR_AGAIN);
        assert_int_equal(http1_head_end(in, strlen(in), &scanned, &end), OK);
        assert_int_equal(end, whole);
    }
}

/* http1_head_end finds such a head complete, so that the parser refuses it at once. */
static void bare_lf_ends_a_head_too(void **state)
{
    (void)state;
    const struct {
        struct str in;
        size_t end;
    } cases[] = {
        { STR("GET / HTTP/1.1\n\nrest"), 16 },
        { STR("GET / HTTP/1.1\r\n\nrest"), 17 },
        { STR("GET / HTTP/1.1\n\r\nrest"), 17 },
        { STR("\r\nrest"), 2 },
        { STR("\nrest"), 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        size_t scanned = 0, end = 0;
        assert_int_equal(http1_head_end(cases[i].in.at, cases[i].in.len, &scanned, &end),
                         OK);
        assert_int_equal(end, cases[i].end);
        assert_int_equal(http1_request_parse(cases[i].in.at, end, &head), ERR_PROTO);
    }
}

static void refuses_every_head_that_is_cut(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    for (size_t len = 0; len < strlen(rfc_request); len++)
        assert_int_equal(parse(str_first(str_of(rfc_request), len), &head, true, STR("")),
                         ERR_PROTO);
    for (size_t len = 0; len < strlen(rfc_answer); len++)
        assert_int_equal(
            parse(str_first(str_of(rfc_answer), len), &head, false, STR("GET")),
            ERR_PROTO);
    assert_non_null(head.problem);
}

#define REQUEST(fields) STR("GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")

static void refuses_what_could_be_read_in_two_ways(void **state)
{
    (void)state;
    /* clang-format off */
    const struct {
        const char *problem;
        struct str head;
    } cases[] = {
        /* The request line. */
        { "the method is not a token", STR("") },
        { "the method is not a token", STR("\r\n") },
        { "the method is not a token", STR(" GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the method is not a token", STR("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the method is not a token", STR("G@T / HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the method is not a token", STR("GET\r\nHost: a\r\n\r\n") },
        { "the method is not a token", STR("\x16\x03\x01\x02\r\n\r\n") },
        { "the request target is missing", STR("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the request target is missing", STR("GET \r\nHost: a\r\n\r\n") },
        { "the HTTP version is missing", STR("GET /\r\n\r\n") },
        { "the HTTP version is missing", STR("GET /\n\n") },
        { "a control character in the request target",
          STR("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "a control character in the request target",
          STR("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "a control character in the request target",
          STR("GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET /  HTTP/1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / http/1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / HTTP/1,1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / HTTP/+1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / HTTP/11.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / HTTP/2\r\n\r\n") },
        { "the HTTP version is malformed", STR("GET / HTTPS/1.1\r\nHost: a\r\n\r\n") },
        { "the HTTP version is not supported", STR("PRI * HTTP/2.0\r\n\r\n") },
        { "the HTTP version is not supported", STR("GET / HTTP/0.9\r\n\r\n") },
        { "the request line does not end after the HTTP version",
          STR("GET / HTTP/1.1 \r\nHost: a\r\n\r\n") },
        { "the request line does not end after the HTTP version",
          STR("GET / HTTP/1.10\r\nHost: a\r\n\r\n") },
        { "a line ends in LF without CR", STR("GET / HTTP/1.1\nHost: a\r\n\r\n") },
        { "a CR without LF", STR("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n") },

        /* Lines and names. */
        { "a line ends in LF without CR", STR("GET / HTTP/1.1\r\nHost: a\n\r\n") },
        { "a line ends in LF without CR", STR("GET / HTTP/1.1\r\nHost: a\r\n\n") },
        { "a line ends in LF without CR", REQUEST("A: b\nB: c\r\n") },
        { "a CR without LF", REQUEST("A: b\rB: c\r\n") },
        { "a CR without LF", REQUEST("A: b\r\rB: c\r\n") },
        { "a NUL byte", REQUEST("A: b\0c\r\n") },
        { "a control character in a field value", REQUEST("A: b\x01\r\n") },
        { "a control character in a field value", REQUEST("A: b\x0b" "c\r\n") },
        { "a control character in a field value", REQUEST("A: b\x7f\r\n") },
        { "a folded field line", REQUEST("A: b\r\n c\r\n") },
        { "a folded field line", REQUEST("A: b\r\n\tc: d\r\n") },
        { "a folded field line", REQUEST(" \r\n") },
        { "a blank before the first field",
          STR("GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n") },
        { "a blank before the first field", STR("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n") },
        { "a blank in a field name or before its colon", REQUEST("A : b\r\n") },
        { "a blank in a field name or before its colon", REQUEST("A\t: b\r\n") },
        { "a blank in a field name or before its colon", REQUEST("A b: c\r\n") },
        { "a blank in a field name or before its colon",
          REQUEST("Content-Length : 3\r\n") },
        { "a field without a name", REQUEST(": b\r\n") },
        { "a field line without a colon", REQUEST("A\r\n") },
        { "a field line without a colon", REQUEST("A\n") },
        { "a forbidden character in a field name", REQUEST("A\0: b\r\n") },
        { "a forbidden character in a field name", REQUEST("A(: b\r\n") },
        { "a forbidden character in a field name", REQUEST("Caf\xc3\xa9: b\r\n") },
        { "a forbidden character in a field name", REQUEST("\"A\": b\r\n") },
        { "a forbidden character in a field name", REQUEST("\x0bTransfer-Encoding: x\r\n") },
        { "bytes after the head", REQUEST("\r\nA: b\r\n") },

        /* Framing. */
        { "two Content-Length fields", REQUEST("Content-Length: 3\r\ncontent-length: 4\r\n") },
        { "two Content-Length fields", REQUEST("Content-Length: 3\r\nContent-Length: 3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: 3, 3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: 3,4\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: +3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: -3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: 0x3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: 3 3\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: 3.0\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length:\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: \"3\"\r\n") },
        { "Content-Length is not a number", REQUEST("Content-Length: \xd9\xa3\r\n") },
        { "Content-Length is too large", REQUEST("Content-Length: 9223372036854775808\r\n") },
        { "Content-Length is too large", REQUEST("Content-Length: 18446744073709551619\r\n") },
        { "Content-Length is too large",
          REQUEST("Content-Length: 100000000000000000000000000000000000\r\n") },
        { "Content-Length with Transfer-Encoding",
          REQUEST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") },
        { "Content-Length with Transfer-Encoding",
          REQUEST("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") },
        { "two Transfer-Encoding fields",
          REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") },
        { "two Transfer-Encoding fields",
          REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: gzip, chunked\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: chunked, chunked\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: chunked;q=1\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: chunked,\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: identity\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: xchunked\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding: \"chunked\"\r\n") },
        { "Transfer-Encoding is not just \"chunked\"", REQUEST("Transfer-Encoding:\r\n") },
        { "Transfer-Encoding in HTTP/1.0",
          STR("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") },

        /* Host and Connection. */
        { "Host is missing", STR("GET / HTTP/1.1\r\n\r\n") },
        { "Host is missing", STR("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n") },
        { "two Host fields", REQUEST("Host: b\r\n") },
        { "two Host fields", REQUEST("hOST: a\r\n") },
        { "two Host fields", STR("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") },
        { "Connection names a framing field", REQUEST("Connection: host\r\n") },
        { "Connection names a framing field", REQUEST("Connection: close, Content-Length\r\n") },
        { "Connection names a framing field",
          REQUEST("Connection: close\r\nConnection: ,TRANSFER-encoding ,\r\n") },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        enum err e = parse(cases[i].head, &head, true, STR(""));

        if (e != ERR_PROTO)
            fail_msg("case %zu (%s): got \"%s\"", i, cases[i].problem, err_text(e));
        assert_string_equal(head.problem, cases[i].problem);
    }
}

static void refuses_malformed_answers(void **state)
{
    (void)state;
    const struct {
        const char *problem;
        struct str head;
    } cases[] = {
        /* clang-format off */
        { "the HTTP version is malformed", STR("") },
        { "the HTTP version is malformed", STR("ICY 200 OK\r\n\r\n") },
        { "the HTTP version is malformed", STR("HTTP/1 200 OK\r\n\r\n") },
        { "the HTTP version is malformed", STR("\r\nHTTP/1.1 200 OK\r\n\r\n") },
        { "the HTTP version is not supported", STR("HTTP/2.0 200 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1  200 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1\t200 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 20 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 099 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 2000 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 +20 OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 200OK\r\n\r\n") },
        { "the status is not a number from 100 to 999", STR("HTTP/1.1 200\tOK\r\n\r\n") },
        { "a control character in the reason", STR("HTTP/1.1 200 O\x01K\r\n\r\n") },
        { "a NUL byte", STR("HTTP/1.1 200 O\0K\r\n\r\n") },
        { "a line ends in LF without CR", STR("HTTP/1.1 200 OK\n\r\n") },
        { "a line ends in LF without CR", STR("HTTP/1.1 200\n\n") },
        { "a CR without LF", STR("HTTP/1.1 200 OK\rA: b\r\n\r\n") },
        { "a folded field line", STR("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n") },
        { "a blank before the first field", STR("HTTP/1.1 200 OK\r\n A: b\r\n\r\n") },
        { "a blank in a field name or before its colon",
          STR("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n") },
        { "a blank in a field name or before its colon",
          STR("HTTP/1.1 200 OK\r\nA \r\n: c\r\n\r\n") },
        { "a blank before the first field", STR("HTTP/1.1 200 OK\r\n : c\r\n\r\n") },
        { "Content-Lengths that differ",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") },
        { "Content-Lengths that differ",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1, 1, 2\r\n\r\n") },
        { "Content-Lengths that differ",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\nContent-Length : 11\r\n\r\n") },
        { "Content-Lengths that differ",
          STR("HTTP/1.1 304 x\r\nContent-Length: 0,1\r\n\r\n") },
        { "Content-Lengths that differ",
          STR("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0,1\r\n\r\n") },
        { "Content-Length is not a number",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1,\r\n\r\n") },
        { "Content-Length is not a number",
          STR("HTTP/1.1 200 OK\r\nContent-Length: ,1\r\n\r\n") },
        { "Content-Length is not a number",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\n") },
        { "Content-Length is not a number",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1;1\r\n\r\n") },
        { "Content-Length is not a number",
          STR("HTTP/1.1 204 x\r\nContent-Length: -1\r\n\r\n") },
        { "Content-Length is too large",
          STR("HTTP/1.1 200 OK\r\nContent-Length: 1, 18446744073709551617\r\n\r\n") },
        { "Transfer-Encoding in HTTP/1.0",
          STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") },
        { "Transfer-Encoding is not just \"chunked\"",
          STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n") },
        { "Connection names a framing field",
          STR("HTTP/1.1 200 OK\r\nConnection: content-length\r\n\r\n") },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        enum err e = parse(cases[i].head, &head, false, STR("GET"));

        if (e != ERR_PROTO)
            fail_msg("case %zu (%s): got \"%s\"", i, cases[i].problem, err_text(e));
        assert_string_equal(head.problem, cases[i].problem);
    }
}

static bool token_byte(int c)
{
    return c > 0 && c < 0x80 &&
           strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                  c);
}

/* Replaces each '~' of `text` by each byte in turn; `legal` decides which must be
 * accepted. */
static void try_all_bytes(struct str text, bool (*legal)(int c))
{
    AUTO_FREE char *copy = xstrndup(text.at, text.len);

    for (char *hole = copy; (hole = strchr(hole, '~')); hole++) {
        for (int c = 0; c < 256; c++) {
            struct http1_head head = HEAD;
            *hole = (char)c;
            enum err e = parse((struct str){ copy, text.len }, &head, true, STR(""));
            if ((e == OK) != legal(c))
                fail_msg("byte %#x at %td: %s", (unsigned)c, hole - copy, err_text(e));
        }
        *hole = 'x';
    }
}

static bool value_byte(int c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool target_byte(int c)
{
    return c > ' ' && c != 0x7f;
}

static bool name_byte(int c)
{
    return token_byte(c) || c == ':';
}

static void every_byte_is_accepted_or_refused_as_the_rfc_says(void **state)
{
    (void)state;

    try_all_bytes(STR("~~~ / HTTP/1.1\r\nHost: a\r\n\r\n"), token_byte);
    try_all_bytes(STR("GET ~~~~~~~~~~~~~~~~~~~ HTTP/1.1\r\nHost: a\r\n\r\n"),
                  target_byte);
    try_all_bytes(STR("GET / HTTP/1.1\r\nHost: a\r\nX~~~: b\r\n\r\n"), name_byte);
    try_all_bytes(STR("GET / HTTP/1.1\r\nHost: a\r\nX:~~~~~~~~~~~~~~~~~~~\r\n\r\n"),
                  value_byte);
}

static void field_names_are_found_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum http1_name id;
        bool hop;
    } names[] = {
        { "Accept", FIELD_ACCEPT, false },
        { "CONNECTION", FIELD_CONNECTION, true },
        { "Content-length", FIELD_CONTENT_LENGTH, false },
        { "content-Type", FIELD_CONTENT_TYPE, false },
        { "expect", FIELD_EXPECT, false },
        { "Forwarded", FIELD_FORWARDED, false },
        { "keep-alive", FIELD_KEEP_ALIVE, true },
        { "ORIGIN", FIELD_ORIGIN, false },
        { "Proxy-Authenticate", FIELD_PROXY_AUTHENTICATE, true },
        { "Proxy-Authorization", FIELD_PROXY_AUTHORIZATION, true },
        { "Proxy-Connection", FIELD_PROXY_CONNECTION, true },
        { "Retry-After", FIELD_RETRY_AFTER, false },
        { "Sec-Fetch-Dest", FIELD_SEC_FETCH_DEST, false },
        { "sec-fetch-mode", FIELD_SEC_FETCH_MODE, false },
        { "SEC-FETCH-SITE", FIELD_SEC_FETCH_SITE, false },
        { "tE", FIELD_TE, true },
        { "Trailer", FIELD_TRAILER, false },
        { "Upgrade", FIELD_UPGRADE, true },
        { "User-Agent", FIELD_USER_AGENT, false },
        { "Content-Lengt", FIELD_OTHER, false },
        { "Content_Length", FIELD_OTHER, false },
        { "Sec-Fetch-User", FIELD_OTHER, false },
        { "Proxy-Authorizations", FIELD_OTHER, false },
        { "X", FIELD_OTHER, false },
        { "T~", FIELD_OTHER, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *text =
            xasprintf("GET / HTTP/1.1\r\nHost: a\r\n%s: 1\r\n\r\n", names[i].name);
        struct http1_head head = HEAD;

        must_parse(str_of(text), &head);
        assert_int_equal(head.fields[1].id, names[i].id);
        assert_int_equal(head.fields[1].hop, names[i].hop);
        assert_int_equal(head.fields[0].id, FIELD_HOST);
        assert_false(head.fields[0].hop);
    }
}

static void trims_values_and_keeps_lines(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(
        STR("GET / HTTP/1.1\r\nHost:a\r\nA: \t b\t c\xff \t\r\nB:\r\nC: \t \r\n\r\n"),
        &head);

    is(head.fields[0].value, "a");
    is(head.fields[1].value, "b\t c\xff");
    is(head.fields[1].line, "A: \t b\t c\xff \t\r\n");
    is(head.fields[2].value, "");
    is(head.fields[3].value, "");
    is(head.fields[3].line, "C: \t \r\n");
}

static void accepts_every_form_of_target(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/",
        "*",
        "/a?b=c#d",
        "http://web.shop/x",
        "web.shop:443",
        "/caf\xc3\xa9",
        "/<\"|\\^{`",
    };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        AUTO_FREE char *text =
            xasprintf("M-SEARCH %s HTTP/1.1\r\nHost:\r\n\r\n", targets[i]);
        struct http1_head head = HEAD;
        must_parse(str_of(text), &head);
        is(head.target, targets[i]);
        is(head.method, "M-SEARCH");
    }
}

static void reports_versions_it_can_speak(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(STR("GET / HTTP/1.0\r\n\r\n"), &head);
    assert_int_equal(head.minor, 0);
    assert_null(head.host);
    must_parse(STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &head);
    assert_int_equal(head.minor, 1);
    must_parse(STR("GET / HTTP/1.7\r\nHost: a\r\n\r\n"), &head);
    assert_int_equal(head.minor, 1);
    must_answer(STR("HTTP/1.0 200 OK\r\n\r\n"), "GET", &head);
    assert_int_equal(head.minor, 0);
}

static void accepts_a_status_line_without_a_reason(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_answer(STR("HTTP/1.1 200 \r\n\r\n"), "GET", &head);
    is(head.reason, "");
    must_answer(STR("HTTP/1.1 999\r\n\r\n"), "GET", &head);
    is(head.reason, "");
    assert_int_equal(head.status, 999);
    must_answer(STR("HTTP/1.1 404 Not\tF\xc3\xbcnd \r\n\r\n"), "GET", &head);
    is(head.reason, "Not\tF\xc3\xbcnd ");
}

static void the_framing_of_requests_follows_the_rfc(void **state)
{
    (void)state;
    const struct {
        struct str head;
        enum http1_framing framing;
        uint64_t length;
    } cases[] = {
        { REQUEST(""), BODY_NONE, 0 },
        { REQUEST("Content-Length: 0\r\n"), BODY_LENGTH, 0 },
        { REQUEST("CONTENT-LENGTH:\t42 \r\n"), BODY_LENGTH, 42 },
        { REQUEST("Content-Length: 0042\r\n"), BODY_LENGTH, 42 },
        { REQUEST("Content-Length: 9223372036854775807\r\n"), BODY_LENGTH, INT64_MAX },
        { REQUEST("Transfer-Encoding: chunked\r\n"), BODY_CHUNKED, 0 },
        { REQUEST("transfer-encoding:Chunked \r\n"), BODY_CHUNKED, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        must_parse(cases[i].head, &head);
        assert_int_equal(head.framing, cases[i].framing);
        assert_int_equal(head.length, cases[i].length);
    }
}

#define ANSWER(status, fields) STR("HTTP/1.1 " status "\r\n" fields "\r\n")
#define LENGTH_5 "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static void the_framing_of_answers_follows_the_rfc(void **state)
{
    (void)state;
    const struct {
        const char *method;
        struct str head;
        enum http1_framing framing;
        uint64_t length;
        bool keep_alive;
    } cases[] = {
        { "GET", ANSWER("200 OK", LENGTH_5), BODY_LENGTH, 5, true },
        { "GET", ANSWER("200 OK", CHUNKED), BODY_CHUNKED, 0, true },
        { "GET", ANSWER("200 OK", ""), BODY_TO_EOF, 0, false },
        { "GET", ANSWER("200 OK", "Connection: keep-alive\r\n"), BODY_TO_EOF, 0, false },
        { "GET", ANSWER("404", ""), BODY_TO_EOF, 0, false },
        { "GET", ANSWER("100", ""), BODY_NONE, 0, true },
        { "GET", ANSWER("103", LENGTH_5), BODY_NONE, 0, false },
        { "GET", ANSWER("204", ""), BODY_NONE, 0, true },
        { "GET", ANSWER("204", "Content-Length: 0\r\n"), BODY_NONE, 0, true },
        { "GET", ANSWER("204", LENGTH_5), BODY_NONE, 0, false },
        { "GET", ANSWER("204", CHUNKED), BODY_NONE, 0, false },
        { "GET", ANSWER("200", LENGTH_5 CHUNKED), BODY_CHUNKED, 0, false },
        { "GET", ANSWER("200", CHUNKED LENGTH_5), BODY_CHUNKED, 0, false },
        { "GET", ANSWER("200", LENGTH_5 LENGTH_5), BODY_LENGTH, 5, true },
        { "GET", ANSWER("200", "Content-Length: 5 ,\t5,05\r\n"), BODY_LENGTH, 5, true },
        { "GET", ANSWER("200", "Content-Length\t : 5\r\n"), BODY_LENGTH, 5, true },
        { "GET", ANSWER("200", "Transfer-Encoding : chunked\r\n"), BODY_CHUNKED, 0,
          true },
        { "GET", ANSWER("304", LENGTH_5 CHUNKED), BODY_NONE, 0, false },
        { "HEAD", ANSWER("200", LENGTH_5 CHUNKED), BODY_NONE, 0, false },
        { "GET", ANSWER("205", LENGTH_5), BODY_LENGTH, 5, true },
        { "GET", ANSWER("304", LENGTH_5), BODY_NONE, 0, true },
        { "GET", ANSWER("304", "Connection: close\r\n"), BODY_NONE, 0, false },
        { "HEAD", ANSWER("200", LENGTH_5), BODY_NONE, 0, true },
        { "HEAD", ANSWER("200", CHUNKED), BODY_NONE, 0, true },
        { "HEAD", ANSWER("200", ""), BODY_NONE, 0, true },
        { "head", ANSWER("200", ""), BODY_TO_EOF, 0, false },
        { "CONNECT", ANSWER("200", LENGTH_5), BODY_NONE, 0, false },
        { "CONNECT", ANSWER("299", CHUNKED), BODY_NONE, 0, false },
        { "CONNECT", ANSWER("407", LENGTH_5), BODY_LENGTH, 5, true },
        { "CONNECT", ANSWER("502", ""), BODY_TO_EOF, 0, false },
        { "GET", ANSWER("101", ""), BODY_NONE, 0, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        must_answer(cases[i].head, cases[i].method, &head);
        if (head.framing != cases[i].framing || head.length != cases[i].length ||
            head.keep_alive != cases[i].keep_alive)
            fail_msg("case %zu", i);
    }
}

static void length_of_a_missing_body_stays_readable(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_answer(ANSWER("200", LENGTH_5), "HEAD", &head);
    is(http1_find(&head, FIELD_CONTENT_LENGTH)->value, "5");
}

/* The fields that are passed on, one line each. */
static void passes_on(const char *fields, const char *wanted)
{
    AUTO_FREE char *text = xasprintf("HTTP/1.1 %s\r\n\r\n", fields);
    char on[300] = "";
    struct http1_head head = HEAD;

    must_answer(str_of(text), "GET", &head);
    for (size_t i = 0; i < head.count; i++) {
        const struct http1_field *field = &head.fields[i];
        size_t len = strlen(on);
        if (field->hop && field->id != FIELD_TRANSFER_ENCODING)
            continue;
        if (field->loose)
            snprintf(on + len, sizeof(on) - len, "%.*s: %.*s\r\n", STR_ARG(field->name),
                     STR_ARG(field->value));
        else
            snprintf(on + len, sizeof(on) - len, "%.*s", STR_ARG(field->line));
    }
    assert_string_equal(on, wanted);
}

static void framing_of_answers_is_passed_on_in_one_form(void **state)
{
    (void)state;

    passes_on("200\r\nContent-Length:5\r\nA:b", "Content-Length:5\r\nA:b\r\n");
    passes_on("200\r\nContent-Length: 5\r\nA: b\r\ncontent-length: 5",
              "Content-Length: 5\r\nA: b\r\n");
    passes_on("200\r\nContent-Length: 05, 5", "Content-Length: 5\r\n");
    passes_on("200\r\nContent-Length: 5,5\r\nContent-Length: 5,5,5",
              "Content-Length: 5\r\n");
    passes_on("200\r\nContent-Length \t: 5\r\nA : b c ",
              "Content-Length: 5\r\nA: b c\r\n");
    passes_on("200\r\nContent-Length: 5\r\nTransfer-Encoding : chunked",
              "Transfer-Encoding: chunked\r\n");
    passes_on("200\r\nTransfer-Encoding: chunked\r\nContent-Length: 5, 5",
              "Transfer-Encoding: chunked\r\n");
    passes_on("204\r\nContent-Length: 0\r\nA: b", "A: b\r\n");
    passes_on("103\r\nContent-Length: 5\r\nA: b", "A: b\r\n");
    passes_on("304\r\nContent-Length: 5,5\r\nA: b", "Content-Length: 5\r\nA: b\r\n");
}

static void keep_alive_is_decided_by_version_and_connection(void **state)
{
    (void)state;
    const struct {
        struct str head;
        bool keep_alive;
    } cases[] = {
        { REQUEST(""), true },
        { REQUEST("Connection: close\r\n"), false },
        { REQUEST("Connection: keep-alive\r\n"), true },
        { REQUEST("connection: foo ,\tCLOSE\r\n"), false },
        { REQUEST("Connection: keep-alive\r\nConnection: close\r\n"), false },
        { REQUEST("Connection: closed\r\n"), true },
        { REQUEST("Proxy-Connection: close\r\n"), true },
        { STR("GET / HTTP/1.0\r\n\r\n"), false },
        { STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true },
        { STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false },
        { STR("GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n"), false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head = HEAD;
        must_parse(cases[i].head, &head);
        if (head.keep_alive != cases[i].keep_alive)
            fail_msg("case %zu", i);
    }
}

static void connection_makes_fields_hop_by_hop(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("X-Secret: 1\r\n"
                       "Connection: , x-SECRET ,,Trailer, te, absent\r\n"
                       "x-secret: 2\r\n"
                       "X-Secrets: 3\r\n"
                       "Trailer: a\r\n"
                       "Connection: Accept\r\n"
                       "Accept: */*\r\n"),
               &head);

    static const bool hop[] = { false, true, true, true, false, true, true, true };
    assert_int_equal(head.count, ARRAY_LEN(hop));
    for (size_t i = 0; i < head.count; i++)
        assert_int_equal(head.fields[i].hop, hop[i]);
    assert_true(head.keep_alive);
}

static void upgrade_takes_both_fields(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
               &head);
    assert_true(head.upgrade);
    must_parse(REQUEST("Connection: Upgrade\r\n"), &head);
    assert_false(head.upgrade);
    must_parse(REQUEST("Upgrade: websocket\r\n"), &head);
    assert_false(head.upgrade);
    must_parse(STR("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), &head);
    assert_false(head.upgrade);
    must_answer(ANSWER("101", "Connection: upgrade\r\nUpgrade: x\r\n"), "GET", &head);
    assert_true(head.upgrade);
    must_answer(ANSWER("426", "Connection: upgrade\r\nUpgrade: x\r\n"), "GET", &head);
    assert_false(head.upgrade);
}

static void expect_is_ignored_in_http_1_0(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("Expect: 100-Continue\r\n" LENGTH_5), &head);
    assert_true(head.expect_continue);
    must_parse(REQUEST("Expect: 200-maybe\r\n"), &head);
    assert_false(head.expect_continue);
    must_parse(STR("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), &head);
    assert_false(head.expect_continue);
}

static void tokens_are_found_in_all_lines_of_a_list(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("TE: gzip;q=1\r\nUpgrade: h2c\r\nTE: x , Trailers\r\n"), &head);
    assert_true(http1_has_token(&head, FIELD_TE, STR("trailers")));
    assert_true(http1_has_token(&head, FIELD_TE, STR("X")));
    assert_false(http1_has_token(&head, FIELD_TE, STR("h2c")));
    assert_false(http1_has_token(&head, FIELD_TE, STR("trailer")));
    assert_false(http1_has_token(&head, FIELD_ACCEPT, STR("x")));
}

static void an_offer_of_h2c_is_no_upgrade_wherever_it_stands(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("Connection: Upgrade\r\nUpgrade: websocket\r\n"), &head);
    assert_true(head.upgrade);
    must_parse(REQUEST("Connection: Upgrade\r\nUpgrade: h2c\r\n"), &head);
    assert_false(head.upgrade);
    must_parse(REQUEST("Connection: Upgrade\r\nUpgrade: H2C, x\r\n"), &head);
    assert_false(head.upgrade);
    must_parse(REQUEST("Connection: Upgrade\r\nUpgrade: x\r\nUpgrade: h2c\r\n"), &head);
    assert_false(head.upgrade);
}

static void schemes_that_authenticate_a_connection_are_found(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_parse(REQUEST("Authorization: NTLM TlRM\r\n"), &head);
    assert_true(head.binds_connection);
    must_parse(REQUEST("authorization: negotiate YII\r\n"), &head);
    assert_true(head.binds_connection);
    must_parse(REQUEST("Proxy-Authorization: Kerberos x\r\n"), &head);
    assert_true(head.binds_connection);
    must_parse(REQUEST("WWW-Authenticate: Basic realm=\"a\", NTLM\r\n"), &head);
    assert_true(head.binds_connection);
    must_parse(REQUEST("Authorization: Basic TlRM\r\n"), &head);
    assert_false(head.binds_connection);
    must_parse(REQUEST("Authorization: Bearer NTLM\r\nX: NTLM\r\n"), &head);
    assert_false(head.binds_connection);
}

static char *with_fields(size_t count)
{
    AUTO_FREE char *text = xstrdup("GET / HTTP/1.1\r\nHost: a\r\n");

    for (size_t i = 1; i < count; i++) {
        char *longer = xasprintf("%sF%zu: x\r\n", text, i);
        free(text);
        text = longer;
    }
    return xasprintf("%s\r\n", text);
}

static void counts_fields_up_to_the_room_there_is(void **state)
{
    (void)state;

    for (size_t n = ROOM - 1; n <= ROOM + 1; n++) {
        AUTO_FREE char *text = with_fields(n);
        struct http1_head head = HEAD;
        enum err e = http1_request_parse(text, strlen(text), &head);

        assert_int_equal(e, n > ROOM ? ERR_LIMIT : OK);
        assert_int_equal(head.count, n > ROOM ? ROOM : n);
        if (e)
            assert_string_equal(head.problem, "too many fields");
    }
}

static void parsing_without_room_for_fields_is_err_limit(void **state)
{
    (void)state;
    struct http1_head head = { 0 };

    assert_int_equal(http1_request_parse(rfc_request, strlen(rfc_request), &head),
                     ERR_LIMIT);
    assert_int_equal(head.count, head.room);
}

static void counts_connection_options_up_to_the_limit(void **state)
{
    (void)state;

    for (size_t n = HTTP1_OPTIONS_MAX - 1; n <= HTTP1_OPTIONS_MAX + 1; n++) {
        AUTO_FREE char *options = xcalloc(n + 1, 2);
        for (size_t i = 0; i < n; i++)
            memcpy(options + 2 * i, "x,", 2);
        AUTO_FREE char *text =
            xasprintf("GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n", options);
        struct http1_head head = HEAD;
        enum err e = http1_request_parse(text, strlen(text), &head);

        assert_int_equal(e, n > HTTP1_OPTIONS_MAX ? ERR_LIMIT : OK);
        if (e)
            assert_string_equal(head.problem, "Connection names too many fields");
    }
}

static void methods_have_64_bytes_at_most(void **state)
{
    (void)state;

    for (int n = 63; n <= 65; n++) {
        AUTO_FREE char *text = xasprintf("%0*d / HTTP/1.1\r\nHost: a\r\n\r\n", n, 7);
        struct http1_head head = HEAD;
        enum err e = http1_request_parse(text, strlen(text), &head);

        assert_int_equal(e, n > 64 ? ERR_PROTO : OK);
        if (e)
            assert_string_equal(head.problem, "the method is too long");
        else
            assert_int_equal(head.method.len, n);
    }
}

/* A head is parsed again and again into the same struct. */
static void parsing_again_leaves_nothing_of_the_previous_head(void **state)
{
    (void)state;
    struct http1_head head = HEAD;

    must_answer(ANSWER("101", "Connection: close\r\n"), "GET", &head);
    assert_int_equal(parse(STR("?"), &head, true, STR("")), ERR_PROTO);
    must_parse(REQUEST(""), &head);

    assert_int_equal(head.status, 0);
    assert_int_equal(head.count, 1);
    assert_true(head.keep_alive);
    assert_false(head.upgrade);
    assert_int_equal(head.framing, BODY_NONE);
}

static void methods_are_safe_or_idempotent_as_in_the_rfc(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        bool safe, idempotent;
    } cases[] = {
        { "GET", true, true },       { "HEAD", true, true },    { "OPTIONS", true, true },
        { "TRACE", true, true },     { "PUT", false, true },    { "DELETE", false, true },
        { "POST", false, false },    { "PATCH", false, false }, { "get", false, false },
        { "CONNECT", false, false }, { "", false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(http1_safe(str_of(cases[i].method)), cases[i].safe);
        assert_int_equal(http1_idempotent(str_of(cases[i].method)), cases[i].idempotent);
    }
}

static void statuses_have_their_standard_reasons(void **state)
{
    (void)state;

    assert_string_equal(http1_reason(200), "OK");
    assert_string_equal(http1_reason(502), "Bad Gateway");
    assert_string_equal(http1_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http1_reason(299), "Unknown");
    assert_string_equal(http1_reason(-1), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_rfc_request),
        cmocka_unit_test(reads_the_rfc_answer),
        cmocka_unit_test(adjacent_field_lines_adjoin),
        cmocka_unit_test(finds_the_end_byte_by_byte),
        cmocka_unit_test(finds_the_end_from_every_split),
        cmocka_unit_test(bare_lf_ends_a_head_too),
        cmocka_unit_test(refuses_every_head_that_is_cut),
        cmocka_unit_test(refuses_what_could_be_read_in_two_ways),
        cmocka_unit_test(refuses_malformed_answers),
        cmocka_unit_test(every_byte_is_accepted_or_refused_as_the_rfc_says),
        cmocka_unit_test(field_names_are_found_in_any_case),
        cmocka_unit_test(trims_values_and_keeps_lines),
        cmocka_unit_test(accepts_every_form_of_target),
        cmocka_unit_test(reports_versions_it_can_speak),
        cmocka_unit_test(accepts_a_status_line_without_a_reason),
        cmocka_unit_test(the_framing_of_requests_follows_the_rfc),
        cmocka_unit_test(the_framing_of_answers_follows_the_rfc),
        cmocka_unit_test(length_of_a_missing_body_stays_readable),
        cmocka_unit_test(framing_of_answers_is_passed_on_in_one_form),
        cmocka_unit_test(keep_alive_is_decided_by_version_and_connection),
        cmocka_unit_test(connection_makes_fields_hop_by_hop),
        cmocka_unit_test(upgrade_takes_both_fields),
        cmocka_unit_test(expect_is_ignored_in_http_1_0),
        cmocka_unit_test(tokens_are_found_in_all_lines_of_a_list),
        cmocka_unit_test(an_offer_of_h2c_is_no_upgrade_wherever_it_stands),
        cmocka_unit_test(schemes_that_authenticate_a_connection_are_found),
        cmocka_unit_test(counts_fields_up_to_the_room_there_is),
        cmocka_unit_test(parsing_without_room_for_fields_is_err_limit),
        cmocka_unit_test(counts_connection_options_up_to_the_limit),
        cmocka_unit_test(methods_have_64_bytes_at_most),
        cmocka_unit_test(parsing_again_leaves_nothing_of_the_previous_head),
        cmocka_unit_test(methods_are_safe_or_idempotent_as_in_the_rfc),
        cmocka_unit_test(statuses_have_their_standard_reasons),
    };
    return cmocka_run_group_tests_name("wire/http1", tests, NULL, NULL);
}
