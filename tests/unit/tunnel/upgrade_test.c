/* tests/unit/tunnel/upgrade_test.c - the upgrade's request, and every answer to it */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "tunnel/upgrade.h"

static struct chunk_pool pool;
static struct bufq in;
static struct str last_body; /* of the last api_error_from_response */
static char last_body_text[UPGRADE_RESPONSE_MAX + 1];
static char last_location[64];

/* Replaces kube/api.c, which parses JSON: these tests check only its arguments. */
void api_error_from_response(struct api_error *e, const struct api_response *a)
{
    struct str body = a->body;
    int status = a->status;

    memcpy(last_body_text, body.at, body.len);
    last_body = (struct str){ last_body_text, body.len };
    snprintf(last_location, sizeof(last_location), "%.*s", STR_ARG(a->location));
    e->status = status;
    e->retry_after = a->retry_after;
    e->is_status = str_starts(body, STR("{"));
    e->code = status == 403   ? ERR_FORBIDDEN
              : status == 404 ? ERR_NOT_FOUND
              : status == 429 ? ERR_THROTTLED
              : status >= 500 ? ERR_SERVER
                              : OK;
}

static int begin(void **state)
{
    (void)state;
    chunk_pool_init(&pool, 0);
    bufq_init(&in, &pool, 64 * 1024);
    last_body = (struct str){ 0 };
    return 0;
}

static int end(void **state)
{
    (void)state;
    bufq_finish(&in);
    chunk_pool_finish(&pool);
    return 0;
}

static enum err read_answer(const char *text, size_t len, bool eof,
                            enum transport transport, struct api_error *ret)
{
    bufq_clear(&in);
    assert_int_equal(bufq_write(&in, text, len), len);
    *ret = (struct api_error){ 0 };
    return upgrade_response_read(&in, eof, transport, ret);
}

static void the_request_is_what_client_go_sends(void **state)
{
    (void)state;
    char secret[] = "Authorization: Bearer t", group[] = "Impersonate-Group: g";
    char *const fields[] = { secret, group, NULL }, *const none[] = { NULL };
    struct upgrade_request r = { .transport = TRANSPORT_KIND_SPDY,
                                 .prefix = "/k8s",
                                 .host = "api:6443",
                                 .fields = fields,
                                 .ns = "shop",
                                 .pod = "web-1" };
    static const char spdy[] =
        "POST /k8s/api/v1/namespaces/shop/pods/web-1/portforward HTTP/1.1\r\n"
        "Host: api:6443\r\nUser-Agent: kube-tunnel/" VERSION "\r\n"
        "Authorization: Bearer t\r\nImpersonate-Group: g\r\n"
        "Content-Length: 0\r\nConnection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    static const char websocket[] =
        "GET /api/v1/namespaces/shop/pods/web-1/portforward HTTP/1.1\r\n"
        "Host: api:6443\r\nUser-Agent: kube-tunnel/" VERSION "\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    char text[1024];

    upgrade_request_write(&r, &in);
    size_t n = bufq_read(&in, text, sizeof(text));
    assert_int_equal(n, sizeof(spdy) - 1);
    assert_memory_equal(text, spdy, n);

    r.transport = TRANSPORT_KIND_WEBSOCKET;
    r.prefix = "";
    r.fields = none;
    r.key = "AAAAAAAAAAAAAAAAAAAAAA==";
    upgrade_request_write(&r, &in);
    n = bufq_read(&in, text, sizeof(text));
    assert_int_equal(n, sizeof(websocket) - 1);
    assert_memory_equal(text, websocket, n);
}

static void names_cannot_leave_their_place_in_the_path(void **state)
{
    (void)state;
    char *const none[] = { NULL };
    struct upgrade_request r = {
        .transport = TRANSPORT_KIND_SPDY,
        .prefix = "",
        .host = "api",
        .fields = none,
        .ns = "a/b?c",
        .pod = "x HTTP/1.1\r\nHost: h\r\n\r\nDELETE /\xc3",
    };
    static const char line[] =
        "POST /api/v1/namespaces/a%2Fb%3Fc/pods/x%20HTTP%2F1.1%0D%0AHost:%20h%0D%0A%0D%0A"
        "DELETE%20%2F%C3/portforward HTTP/1.1\r\nHost: api\r\n";
    char text[1024];

    upgrade_request_write(&r, &in);
    assert_in_range(bufq_read(&in, text, sizeof(text)), sizeof(line), sizeof(text));
    assert_memory_equal(text, line, sizeof(line) - 1);
}

#define SWITCHED                                                                         \
    "HTTP/1.1 101 Switching Protocols\r\n"                                               \
    "Audit-Id: 7\r\nconnection: keep-alive, UPGRADE\r\nUpgrade: spdy/3.1\r\n"            \
    "X-Stream-Protocol-Version: portforward.k8s.io\r\nDate: now\r\n\r\n"

/* A response that is cut anywhere is incomplete, not an error, and stays in the queue. */
static void waits_for_every_missing_byte(void **state)
{
    (void)state;
    struct api_error error;

    for (size_t n = 0; n < sizeof(SWITCHED) - 1; n++) {
        assert_int_equal(read_answer(SWITCHED, n, false, TRANSPORT_KIND_SPDY, &error),
                         ERR_AGAIN);
        assert_int_equal(in.len, n);
        assert_int_equal(error.code, OK);
        assert_int_equal(read_answer(SWITCHED, n, true, TRANSPORT_KIND_SPDY, &error),
                         ERR_EOF);
        assert_true(error.why.text[0]);
    }
    assert_int_equal(
        read_answer(SWITCHED, sizeof(SWITCHED) - 1, false, TRANSPORT_KIND_SPDY, &error),
        OK);
    assert_true(bufq_empty(&in));
}

static void bytes_after_the_head_stay_queued(void **state)
{
    (void)state;
    struct api_error error;
    static const char text[] = SWITCHED "\x80\x03spdy\r\n\r\n";
    char rest[16];

    assert_int_equal(
        read_answer(text, sizeof(text) - 1, false, TRANSPORT_KIND_SPDY, &error), OK);
    assert_int_equal(bufq_read(&in, rest, sizeof(rest)), 10);
    assert_memory_equal(rest, "\x80\x03spdy\r\n\r\n", 10);
}

static void the_websocket_upgrade_is_verified(void **state)
{
    (void)state;
    struct api_error error;
    static const char text[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n"
        "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n\x82";

    assert_int_equal(
        read_answer(text, sizeof(text) - 1, false, TRANSPORT_KIND_WEBSOCKET, &error), OK);
    assert_int_equal(in.len, 1);
    assert_int_equal(
        read_answer(text, sizeof(text) - 1, false, TRANSPORT_KIND_SPDY, &error),
        ERR_UPGRADE);
    assert_int_equal(read_answer(SWITCHED, sizeof(SWITCHED) - 1, false,
                                 TRANSPORT_KIND_WEBSOCKET, &error),
                     ERR_UPGRADE);
}

static void a_101_for_another_protocol_is_refused(void **state)
{
    (void)state;
#define HEAD "HTTP/1.1 101 Switching Protocols\r\n"
#define VERSION_FIELD "X-Stream-Protocol-Version: portforward.k8s.io\r\n"
    static const char *const answers[] = {
        HEAD "Upgrade: SPDY/3.1\r\n" VERSION_FIELD "\r\n",
        HEAD "Connection: Upgrade\r\n" VERSION_FIELD "\r\n",
        HEAD "Connection: Upgrade\r\nUpgrade: SPDY/3\r\n" VERSION_FIELD "\r\n",
        HEAD "Connection: Upgrade\r\nUpgrade: h2c\r\n" VERSION_FIELD "\r\n",
        HEAD "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
        HEAD "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
             "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 101 no\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct api_error error;
        enum err e = read_answer(answers[i], strlen(answers[i]), false,
                                 TRANSPORT_KIND_SPDY, &error);
        if (e != ERR_UPGRADE || error.code != e || !error.why.text[0])
            fail_msg("case %zu: %s, %s", i, err_text(e), error.why.text);
    }
}

#define STATUS "{\"kind\":\"Status\",\"message\":\"no\"}"

/* What the servers on the way answer when they do not switch (facts 1.1). */
static void a_refusal_returns_status_and_body(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body;
        int status;
        enum err code;
        uint32_t retry_after;
    } cases[] = {
        { "HTTP/1.1 403 Forbidden\r\nContent-Length: 32\r\n\r\n" STATUS, STATUS, 403,
          ERR_FORBIDDEN, 0 },
        { "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
          "8\r\n{\"kind\":\r\n18;x=y\r\n\"Status\",\"message\":\"no\"}\r\n0\r\n\r\n",
          STATUS, 404, ERR_NOT_FOUND, 0 },
        { "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
          "20\r\n" STATUS "\r\n0\r\nTrailer: 1\r\n\r\n",
          STATUS, 404, ERR_NOT_FOUND, 0 },
        { "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: "
          "0\r\n\r\n",
          "", 429, ERR_THROTTLED, 60 },
        { "HTTP/1.1 429 Too Many Requests\r\nRetry-After: Fri, 31 Dec\r\n"
          "Content-Length: 0\r\n\r\n",
          "", 429, ERR_THROTTLED, 0 },
        { "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 28\r\n\r\n"
          "error dialing backend: EOF\r\n",
          "error dialing backend: EOF\r\n", 500, ERR_SERVER, 0 },
        { "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "", 302,
          ERR_UPGRADE, 0 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, ERR_UPGRADE, 0 },
        { "HTTP/1.1 204 No Content\r\n\r\n", "", 204, ERR_UPGRADE, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_error error;
        size_t len = strlen(cases[i].text);
        for (size_t n = 0; n < len; n++)
            if (read_answer(cases[i].text, n, false, TRANSPORT_KIND_SPDY, &error) !=
                ERR_AGAIN)
                fail_msg("case %zu: decided after %zu of %zu bytes", i, n, len);
        enum err e = read_answer(cases[i].text, len, false, TRANSPORT_KIND_SPDY, &error);
        if (e != cases[i].code || error.code != e || error.status != cases[i].status)
            fail_msg("case %zu: %s, status %d", i, err_text(e), error.status);
        assert_int_equal(error.retry_after, cases[i].retry_after);
        if (cases[i].status == 302)
            assert_string_equal(last_location, "/login");
        if (!str_eq(last_body, str_of(cases[i].body)))
            fail_msg("case %zu: the body is \"%.*s\"", i, STR_ARG(last_body));
    }
}

static void a_body_without_a_length_ends_with_the_connection(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.0 503 Busy\r\n\r\nplease wait";
    struct api_error error;

    assert_int_equal(
        read_answer(text, sizeof(text) - 1, false, TRANSPORT_KIND_SPDY, &error),
        ERR_AGAIN);
    assert_int_equal(
        read_answer(text, sizeof(text) - 1, true, TRANSPORT_KIND_SPDY, &error),
        ERR_SERVER);
    assert_true(str_eq(last_body, STR("please wait")));
}

static void a_cut_refusal_returns_what_arrived(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\nhalf",
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n63\r\nhalf",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct api_error error;
        assert_int_equal(
            read_answer(texts[i], strlen(texts[i]), true, TRANSPORT_KIND_SPDY, &error),
            ERR_FORBIDDEN);
        assert_true(str_eq(last_body, STR("half")));
    }
}

static void an_endless_answer_is_refused(void **state)
{
    (void)state;
    static char text[UPGRADE_RESPONSE_MAX + 100];
    struct api_error error;

    memset(text, 'x', sizeof(text)); /* a head without an end */
    memcpy(text, "HTTP/1.1 101 OK\r\nA: ", 20);
    assert_int_equal(read_answer(text, sizeof(text), false, TRANSPORT_KIND_SPDY, &error),
                     ERR_UPGRADE);
    for (size_t head = 0; head < 16000; head += 4000) { /* a body without one */
        memset(text, 'x', sizeof(text));
        int n = snprintf(text, sizeof(text),
                         "HTTP/1.1 500 No\r\nContent-Length: 99999\r\nA: %0*d\r\n\r\n",
                         (int)head + 1, 0);
        text[n] = 'x';
        assert_int_equal(
            read_answer(text, sizeof(text), false, TRANSPORT_KIND_SPDY, &error),
            ERR_SERVER);
    }
}

static void only_a_refused_transport_is_replaced_by_the_other(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool is_status, other;
    } cases[] = {
        { 400, true, true },   { 400, false, true },  { 401, true, false },
        { 403, true, true },   { 403, false, false }, { 404, true, false },
        { 404, false, true },  { 405, false, true },  { 426, false, true },
        { 429, true, false },  { 500, true, false },  { 501, false, true },
        { 503, false, false }, { 200, false, true },  { 302, false, true },
        { 0, false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_error e = { .status = cases[i].status,
                               .is_status = cases[i].is_status };
        assert_int_equal(upgrade_refused_transport(&e), cases[i].other);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_request_is_what_client_go_sends),
        TEST(names_cannot_leave_their_place_in_the_path),
        TEST(waits_for_every_missing_byte),
        TEST(bytes_after_the_head_stay_queued),
        TEST(the_websocket_upgrade_is_verified),
        TEST(a_101_for_another_protocol_is_refused),
        TEST(a_refusal_returns_status_and_body),
        TEST(a_body_without_a_length_ends_with_the_connection),
        TEST(a_cut_refusal_returns_what_arrived),
        TEST(an_endless_answer_is_refused),
        TEST(only_a_refused_transport_is_replaced_by_the_other),
    };
    return cmocka_run_group_tests_name("tunnel/upgrade", tests, NULL, NULL);
}
