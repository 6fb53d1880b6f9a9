/* tests/unit/wire/http1_chunked_test.c - the chunked coding, cut in every way */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "wire/http1.h"

#define PAYLOAD_MAX 4096
#define KEPT_MAX 20000

/* The result of decoding a body. */
struct result {
    enum err err; /* ERR_AGAIN: all input was read, and the body has not ended */
    const char *problem;
    size_t used;
    size_t len;
    char payload[PAYLOAD_MAX];
    size_t kept_len; /* all that is not dropped */
    char kept[KEPT_MAX];
};

/* Feed bytes of a copy of exactly its size; returns false when no more may be fed. */
static bool feed(struct http1_chunked *c, struct str text, struct result *result)
{
    AUTO_FREE uint8_t *room = xmalloc(text.len + 1);
    const uint8_t *in = memcpy(room + 1, text.at, text.len);

    for (size_t at = 0; at < text.len;) {
        struct http1_piece piece;
        result->err = http1_chunked_decode(c, in + at, text.len - at, &piece);
        result->problem = c->problem;
        if (result->err)
            return false;
        size_t n = piece.framing + piece.payload;
        assert_true(piece.dropped + n > 0);
        assert_true(piece.dropped + n <= text.len - at);
        assert_true(result->len + piece.payload <= PAYLOAD_MAX);
        at += piece.dropped;
        assert_true(result->kept_len + n <= KEPT_MAX);
        memcpy(result->kept + result->kept_len, in + at, n);
        result->kept_len += n;
        memcpy(result->payload + result->len, in + at + piece.framing, piece.payload);
        result->len += piece.payload;
        result->used += piece.dropped + n;
        at += n;
        if (piece.done)
            return false;
    }
    result->err = ERR_AGAIN;
    return true;
}

static struct result whole(struct str text)
{
    struct http1_chunked c = { 0 };
    struct result result = { .err = ERR_AGAIN };

    feed(&c, text, &result);
    return result;
}

static struct result byte_by_byte(struct str text)
{
    struct http1_chunked c = { 0 };
    struct result result = { .err = ERR_AGAIN };

    for (size_t i = 0; i < text.len; i++)
        if (!feed(&c, str_first(str_skip(text, i), 1), &result))
            break;
    return result;
}

static struct result split_at(struct str text, size_t split)
{
    struct http1_chunked c = { 0 };
    struct result result = { .err = ERR_AGAIN };

    if (feed(&c, str_first(text, split), &result))
        feed(&c, str_skip(text, split), &result);
    return result;
}

static void body_is(struct result result, const char *payload, size_t used)
{
    assert_int_equal(result.err, OK);
    assert_int_equal(result.used, used);
    assert_int_equal(result.len, strlen(payload));
    assert_memory_equal(result.payload, payload, result.len);
}

/* Sizes in both cases, zeros in front, extensions, an odd payload, trailers. */
static const char body[] = "4\r\nWiki\r\n"
                           "07;a\r\npedia i\r\n"
                           "B;name=value;q=\"a;\tb \\\" \xc3\xa9\" \r\nn \r\nchunks.\r\n"
                           "0\r\n"
                           "Expires: never\r\n"
                           "X:\r\n"
                           "\r\n";
#define BODY_PAYLOAD "Wikipedia in \r\nchunks."

static void a_chunked_body_is_decoded(void **state)
{
    (void)state;

    body_is(whole(str_of(body)), BODY_PAYLOAD, strlen(body));
}

static void a_body_is_decoded_however_it_is_split(void **state)
{
    (void)state;

    body_is(byte_by_byte(str_of(body)), BODY_PAYLOAD, strlen(body));
    for (size_t split = 0; split <= strlen(body); split++)
        body_is(split_at(str_of(body), split), BODY_PAYLOAD, strlen(body));
}

static void is_not_done_before_the_last_byte(void **state)
{
    (void)state;

    for (size_t len = 0; len < strlen(body); len++) {
        struct result result = whole(str_first(str_of(body), len));
        assert_int_equal(result.err, ERR_AGAIN);
        assert_int_equal(result.used, len);
    }
}

static void bytes_of_the_next_message_are_left(void **state)
{
    (void)state;
    static const char pipelined[] = "3\r\nabc\r\n0\r\n\r\n0\r\n\r\n";

    body_is(whole(str_of(pipelined)), "abc", 13);
    body_is(byte_by_byte(str_of(pipelined)), "abc", 13);
    body_is(whole(STR("0\r\n\r\nGET")), "", 5);
    body_is(whole(STR("000000\r\n\r\n")), "", 10);
}

static void each_piece_is_framing_and_then_payload(void **state)
{
    (void)state;
    static const uint8_t in[] = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest";
    static const struct http1_piece expected[] = {
        { 0, 3, 3, false },
        { 0, 5, 2, false },
        { 0, 7, 0, true },
    };
    struct http1_chunked c = { 0 };
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct http1_piece piece;
        assert_int_equal(http1_chunked_decode(&c, in + at, sizeof(in) - at, &piece), OK);
        assert_int_equal(piece.framing, expected[i].framing);
        assert_int_equal(piece.payload, expected[i].payload);
        assert_int_equal(piece.done, expected[i].done);
        at += piece.framing + piece.payload;
    }
    assert_string_equal((const char *)in + at, "rest");
}

static void a_finished_decoder_stays_finished(void **state)
{
    (void)state;
    struct http1_chunked c = { 0 };
    struct http1_piece piece;
    const uint8_t in[] = "0\r\n\r\n5\r\n";

    assert_int_equal(http1_chunked_decode(&c, in, 5, &piece), OK);
    assert_true(piece.done);
    assert_int_equal(http1_chunked_decode(&c, in + 5, 3, &piece), OK);
    assert_true(piece.done);
    assert_int_equal(piece.framing + piece.payload, 0);
}

static void an_incomplete_chunk_waits_for_bytes(void **state)
{
    (void)state;
    struct http1_chunked c = { 0 };
    struct http1_piece piece = { .framing = 7 };

    assert_int_equal(http1_chunked_decode(&c, (const uint8_t *)"", 0, &piece), ERR_AGAIN);
    assert_int_equal(piece.framing, 7);
}

static void refuses_what_could_be_read_in_two_ways(void **state)
{
    (void)state;
    /* clang-format off */
    const struct {
        const char *problem;
        struct str in;
    } cases[] = {
        { "a chunk size is missing", STR("\r\n") },
        { "a chunk size is missing", STR("\n") },
        { "a chunk size is missing", STR(";a\r\n") },
        { "a chunk size is missing", STR(" 3\r\nabc\r\n") },
        { "a chunk size is missing", STR("\t3\r\nabc\r\n") },
        { "a chunk size is missing", STR("+3\r\nabc\r\n") },
        { "a chunk size is missing", STR("-3\r\nabc\r\n") },
        { "a chunk size is missing", STR("g\r\n") },
        { "a chunk size is missing", STR("\"3\"\r\n") },
        { "a chunk size is missing", STR("3\r\nabc\r\n\r\n") },
        { "a chunk size is missing", STR("3\r\nabc\r\n 0\r\n\r\n") },
        { "a forbidden character after a chunk size", STR("0x3\r\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3 \r\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3 \t \r\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3 0\r\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3 \n;a\r\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3_0\r\n") },
        { "a forbidden character after a chunk size", STR("3,3\r\n") },
        { "a forbidden character after a chunk size", STR("3.0\r\n") },
        { "a forbidden character after a chunk size", STR("3\nabc\r\n") },
        { "a forbidden character after a chunk size", STR("3\0\r\n") },
        { "a forbidden character after a chunk size", STR("0\n\r\n") },
        { "a chunk size line does not end in CRLF", STR("3\rabc\r\n") },
        { "a chunk size line does not end in CRLF", STR("3\r\r\nabc\r\n") },
        { "a chunk size line does not end in CRLF", STR("3;a\rb\r\n") },
        { "a control character in a chunk extension", STR("3;a\nabc\r\n") },
        { "a control character in a chunk extension", STR("3;a\0\r\nabc\r\n") },
        { "a control character in a chunk extension", STR("3;a=\"\n\"\r\nabc\r\n") },
        { "a control character in a chunk extension", STR("3;\x7f\r\nabc\r\n") },
        { "a chunk does not end where its size says", STR("3\r\nabcd\r\n") },
        { "a chunk does not end where its size says", STR("3\r\nabc\n0\r\n\r\n") },
        { "a chunk does not end where its size says", STR("3\r\nabc\r0\r\n\r\n") },
        { "a chunk does not end where its size says", STR("3\r\nabc0\r\n\r\n") },
        { "a chunk does not end where its size says", STR("4\r\nabc\r\n0\r\n\r\n") },
        { "a chunk size is too large", STR("1000000000000001\r\n") },
        { "a chunk size is too large", STR("ffffffffffffffff\r\n") },
        { "a chunk size is too large", STR("10000000000000003\r\nabc\r\n") },
        { "a chunk size is too large", STR("fffffffffffffffffffffffffffffff3\r\nabc\r\n") },
        { "a trailer does not begin with a name", STR("0\r\n\n") },
        { "a trailer does not begin with a name", STR("0\r\n:a\r\n\r\n") },
        { "a folded trailer line", STR("0\r\n a: b\r\n\r\n") },
        { "a folded trailer line", STR("0\r\na: b\r\n\tc\r\n\r\n") },
        { "a forbidden character in a trailer name", STR("0\r\na : b\r\n\r\n") },
        { "a forbidden character in a trailer name", STR("0\r\na\r\n\r\n") },
        { "a forbidden character in a trailer name", STR("0\r\nGET / HTTP/1.1\r\n\r\n") },
        { "a control character in a trailer", STR("0\r\na: b\n\r\n") },
        { "a control character in a trailer", STR("0\r\na: \0\r\n\r\n") },
        { "a trailer does not end in CRLF", STR("0\r\na: b\rc\r\n\r\n") },
        { "the trailers do not end in CRLF", STR("0\r\n\r\r\n") },
        { "the trailers do not end in CRLF", STR("0\r\na: b\r\n\rc: d\r\n\r\n") },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct result one = whole(cases[i].in), many = byte_by_byte(cases[i].in);

        if (one.err != ERR_PROTO || many.err != ERR_PROTO)
            fail_msg("case %zu (%s): got \"%s\"", i, cases[i].problem, err_text(one.err));
        assert_string_equal(one.problem, cases[i].problem);
        assert_string_equal(many.problem, cases[i].problem);
    }
}

static struct result answer_split_at(struct str text, size_t split)
{
    struct http1_chunked c = { .answer = true };
    struct result result = { .err = ERR_AGAIN };

    if (feed(&c, str_first(text, split), &result))
        feed(&c, str_skip(text, split), &result);
    return result;
}

static struct result answer(struct str text)
{
    return answer_split_at(text, text.len);
}

/* What the grammar calls BWS (RFC 9112, section 7.1.1). */
static void requests_may_have_blanks_before_an_extension(void **state)
{
    (void)state;
    static const char bws[] = "3 ;a=b\r\nabc\r\n1\t \t; a = b\r\nd\r\n0 ;x\r\n\r\n";

    body_is(whole(str_of(bws)), "abcd", strlen(bws));
    body_is(byte_by_byte(str_of(bws)), "abcd", strlen(bws));
    struct result result = whole(str_of(bws));
    assert_int_equal(result.kept_len, strlen(bws));
}

/* As Tomcat's Coyote, small devices and others write them. */
static void loosely_framed_answers_are_accepted_and_encoded_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *in, *kept, *payload;
    } cases[] = {
        { "5  \r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello" },
        { "5 \t\r\nhello\r\n0 \r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello" },
        { "5 ;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello" },
        { "5;a=\"b;\" \r\nhello\r\n0;\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello" },
        { "1\r\nx\r\n0\r\nA : b\r\nC \t:\r\nD:e \r\n\r\n",
          "1\r\nx\r\n0\r\nA: b\r\nC:\r\nD:e \r\n\r\n", "x" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t split = 0; split <= strlen(cases[i].in); split++) {
            struct result result = answer_split_at(str_of(cases[i].in), split);
            body_is(result, cases[i].payload, strlen(cases[i].in));
            assert_int_equal(result.kept_len, strlen(cases[i].kept));
            assert_memory_equal(result.kept, cases[i].kept, result.kept_len);
        }
}

static void answers_with_an_ambiguous_end_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "3 0\r\nabc\r\n",          "3 3\r\nabc\r\n",  " 3\r\nabc\r\n",
        "3 a\r\nabc\r\n",          "3 \nabc\r\n",     "3 \r \nabc\r\n",
        "3 \v\r\nabc\r\n",         "3 ;a\nabc\r\n",   "3\r\nabc \r\n0\r\n\r\n",
        "3 \r\nabcd\r\n",          "0x3 \r\nabc\r\n", "0\r\nA b: c\r\n\r\n",
        "0\r\n : c\r\n\r\n",       "0\r\nA \r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA :b\nC: d\r\n\r\n", "3\t-\r\nabc\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (answer(str_of(cases[i])).err != ERR_PROTO)
            fail_msg("case %zu", i);
}

static void sizes_go_up_to_two_to_the_60(void **state)
{
    (void)state;
    struct http1_chunked c = { 0 };
    struct http1_piece piece;
    const uint8_t in[] = "1000000000000000\r\nx";

    assert_int_equal(http1_chunked_decode(&c, in, 19, &piece), OK);
    assert_int_equal(piece.framing, 18);
    assert_int_equal(piece.payload, 1);
    assert_int_equal(c.left, (UINT64_C(1) << 60) - 1);
}

/* n bytes: `head`, then as many 'x' as it takes, then `tail`. */
static char *padded(const char *head, size_t n, const char *tail)
{
    size_t fill = n - strlen(head) - strlen(tail);
    char *text = xcalloc(n + 1, 1);

    memcpy(text, head, strlen(head));
    memset(text + strlen(head), 'x', fill);
    memcpy(text + strlen(head) + fill, tail, strlen(tail));
    return text;
}

static void bounds_a_size_line(void **state)
{
    (void)state;

    for (size_t n = HTTP1_CHUNK_LINE_MAX - 1; n <= HTTP1_CHUNK_LINE_MAX + 1; n++) {
        AUTO_FREE char *line = padded("1;", n, "\r\n");
        /* Twice, because the next line has the same room again. */
        AUTO_FREE char *text = xasprintf("%sA\r\n%sB\r\n0\r\n\r\n", line, line);
        struct result result = whole(str_of(text));

        assert_int_equal(byte_by_byte(str_of(text)).err, result.err);
        if (n <= HTTP1_CHUNK_LINE_MAX) {
            body_is(result, "AB", strlen(text));
            continue;
        }
        assert_int_equal(result.err, ERR_LIMIT);
        assert_string_equal(result.problem, "a chunk size line is too long");
    }
}

static void bounds_a_size_line_of_an_answer(void **state)
{
    (void)state;
    const size_t max = HTTP1_ANSWER_CHUNK_LINE_MAX;

    for (size_t n = max - 1; n <= max + 1; n++) {
        AUTO_FREE char *line = padded("1 ;", n, "\r\n");
        AUTO_FREE char *text = xasprintf("%sA\r\n%sB\r\n0\r\n\r\n", line, line);
        struct result result = answer(str_of(text));

        if (n <= max) {
            body_is(result, "AB", strlen(text));
            continue;
        }
        assert_int_equal(result.err, ERR_LIMIT);
        assert_string_equal(result.problem, "a chunk size line is too long");
    }
    AUTO_FREE char *blanks = padded("1", 300, " ");
    memset(blanks + 1, ' ', 299);
    assert_int_equal(answer(str_of(blanks)).err, ERR_AGAIN);
    AUTO_FREE char *zeros = padded("", 300, "");
    memset(zeros, '0', 300);
    assert_int_equal(answer(str_of(zeros)).err, ERR_LIMIT);
}

static void bounds_zeros_in_front_of_a_size(void **state)
{
    (void)state;
    AUTO_FREE char *zeros = xcalloc(HTTP1_CHUNK_LINE_MAX + 2, 1);
    memset(zeros, '0', HTTP1_CHUNK_LINE_MAX + 1);

    assert_int_equal(whole(str_of(zeros)).err, ERR_LIMIT);
}

static void bounds_the_trailers(void **state)
{
    (void)state;

    for (size_t n = HTTP1_TRAILERS_MAX - 1; n <= HTTP1_TRAILERS_MAX + 1; n++) {
        AUTO_FREE char *trailers = padded("a: b\r\nc: ", n, "\r\n\r\n");
        AUTO_FREE char *text = xasprintf("0\r\n%s", trailers);
        struct result result = whole(str_of(text));

        assert_int_equal(byte_by_byte(str_of(text)).err, result.err);
        if (n <= HTTP1_TRAILERS_MAX) {
            body_is(result, "", strlen(text));
            continue;
        }
        assert_int_equal(result.err, ERR_LIMIT);
        assert_string_equal(result.problem, "the trailers are too long");
    }
}

static void encodes_chunk_heads(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *head;
    } cases[] = {
        { 1, "1\r\n" },   { 15, "f\r\n" },       { 16, "10\r\n" },
        { 26, "1a\r\n" }, { 16384, "4000\r\n" }, { SIZE_MAX, "ffffffffffffffff\r\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char head[HTTP1_CHUNK_HEAD_MAX];
        size_t len = http1_chunk_head_encode(cases[i].n, head);
        assert_int_equal(len, strlen(cases[i].head));
        assert_memory_equal(head, cases[i].head, len);
    }
}

static void encoded_chunks_are_decoded(void **state)
{
    (void)state;

    for (size_t n = 1; n < 600; n++) {
        AUTO_FREE char *payload = padded("", n, "");
        char head[HTTP1_CHUNK_HEAD_MAX];
        size_t len = http1_chunk_head_encode(n, head);
        AUTO_FREE char *text = xasprintf("%.*s%s\r\n0\r\n\r\n", (int)len, head, payload);

        body_is(whole(str_of(text)), payload, strlen(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunked_body_is_decoded),
        cmocka_unit_test(a_body_is_decoded_however_it_is_split),
        cmocka_unit_test(is_not_done_before_the_last_byte),
        cmocka_unit_test(bytes_of_the_next_message_are_left),
        cmocka_unit_test(each_piece_is_framing_and_then_payload),
        cmocka_unit_test(a_finished_decoder_stays_finished),
        cmocka_unit_test(an_incomplete_chunk_waits_for_bytes),
        cmocka_unit_test(refuses_what_could_be_read_in_two_ways),
        cmocka_unit_test(requests_may_have_blanks_before_an_extension),
        cmocka_unit_test(loosely_framed_answers_are_accepted_and_encoded_strictly),
        cmocka_unit_test(answers_with_an_ambiguous_end_are_refused),
        cmocka_unit_test(sizes_go_up_to_two_to_the_60),
        cmocka_unit_test(bounds_a_size_line),
        cmocka_unit_test(bounds_a_size_line_of_an_answer),
        cmocka_unit_test(bounds_zeros_in_front_of_a_size),
        cmocka_unit_test(bounds_the_trailers),
        cmocka_unit_test(encodes_chunk_heads),
        cmocka_unit_test(encoded_chunks_are_decoded),
    };
    return cmocka_run_group_tests_name("wire/http1_chunked", tests, NULL, NULL);
}
