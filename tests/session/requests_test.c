/* tests/session/requests_test.c - requests and answers, byte for byte */
#include "stage.h"

#include "base/own.h"

#define GET_WEB "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n"

static const struct {
    const char *name, *request, *pod_sees, *answer, *client_sees;
} passing[] = {
    { "a plain GET",
      "GET /a/../b?c=%2F&d HTTP/1.1\r\nHost: web.shop.svc.cluster.local\r\nX-Two: 1\r\n"
      "x-tWO:   2\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
      "GET /a/../b?c=%2F&d HTTP/1.1\r\nHost: web.shop.svc.cluster.local\r\nX-Two: 1\r\n"
      "x-tWO:   2\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX-a:  b \r\nContent-Length: 2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nX-a:  b \r\nContent-Length: 2\r\n\r\nhi" },
    { "fields of this hop stay here",
      "GET / HTTP/1.1\r\nHost: web.shop.svc\r\nConnection: X-Mine, keep-alive\r\nA: 1\r\n"
      "X-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nB: 2\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: web.shop.svc\r\nA: 1\r\nB: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nConnection: X-Its\r\nX-Its: 1\r\nKeep-Alive: timeout=5\r\n"
      "Content-Length: 0\r\nC: 3\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nC: 3\r\n\r\n" },
    { "TE: trailers is said again",
      "GET / HTTP/1.1\r\nHost: web.shop.svc\r\nTE: trailers, gzip\r\nConnection: "
      "TE\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: web.shop.svc\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n" },
    { "a POST with a length",
      "POST /p HTTP/1.1\r\nHost: web.shop.svc\r\nContent-Length: 5\r\n\r\nhello",
      "POST /p HTTP/1.1\r\nHost: web.shop.svc\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 201 Made It\r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 201 Made It\r\nContent-Length: 1\r\n\r\nx" },
    { "chunks and trailers both ways, as they stand",
      "POST /p HTTP/1.1\r\nHost: web.shop.svc\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n00\r\nT: 1\r\n\r\n",
      "POST /p HTTP/1.1\r\nHost: web.shop.svc\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n00\r\nT: 1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\nSum: 9\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\nSum: 9\r\n\r\n" },
    { "an unknown method", "BREW /pot HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "BREW /pot HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n" },
    { "HEAD has a length and no body", "HEAD / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HEAD / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" },
    { "HEAD of something chunked", "HEAD / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HEAD / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
    { "304 has a length and no body", GET_WEB, GET_WEB,
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n" },
    { "an absolute target", "GET http://web.shop/x?y HTTP/1.1\r\nHost: web.shop\r\n\r\n",
      "GET /x?y HTTP/1.1\r\nHost: web.shop\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "an absolute target overrides Host",
      "GET HTTP://web.shop:81?y HTTP/1.1\r\nA: 1\r\nhOST: other\r\nB: 2\r\n\r\n",
      "GET /?y HTTP/1.1\r\nA: 1\r\nHost: web.shop:81\r\nB: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "OPTIONS of the whole server",
      "OPTIONS http://web.shop HTTP/1.1\r\nHost: web.shop\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: web.shop\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "a newer minor version", "GET / HTTP/1.9\r\nHost: web.shop.svc\r\n\r\n", GET_WEB,
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "empty lines before a request",
      "\r\n\r\nGET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n", GET_WEB,
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "an answer in HTTP/1.0 with a length", GET_WEB, GET_WEB,
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" },
    { "interim answers", GET_WEB, GET_WEB,
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: x\r\n\r\n"
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
    { "HTTP/1.0 that keeps alive",
      "GET / HTTP/1.0\r\nHost: web.shop.svc\r\nConnection: keep-alive\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi" },
    { "an answer that would upgrade", GET_WEB, GET_WEB,
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n"
      "Content-Length: 0\r\n\r\n",
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\nContent-Length: 0\r\n"
      "Connection: Upgrade\r\n\r\n" },
};

/* Both connections can be used again after each message; each is also sent byte by
 * byte. */
static void messages_are_passed_on_byte_for_byte(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        stage_write(st, client, passing[i].request);
        if (st->lease_count != i + 1)
            fail_msg("%s: no lease: %s", passing[i].name, stage_received(st, client));
        if (strcmp(stage_received(st, pod(st, i)), passing[i].pod_sees) != 0)
            fail_msg("%s: the pod saw\n%s", passing[i].name, st->received);
        stage_write(st, pod(st, i), passing[i].answer);
        if (strcmp(stage_received(st, client), passing[i].client_sees) != 0)
            fail_msg("%s: the client saw\n%s", passing[i].name, st->received);
        if (!st->leases[i].returned || st->leases[i].release != RELEASE_KEEP)
            fail_msg("%s: the pod's connection was not kept", passing[i].name);
    }
    assert_int_equal(client->end.verdict, V_OPEN);
}

static void write_slowly(struct stage *st, struct stream *to, const char *text)
{
    for (const char *c = text; *c; c++)
        stage_write_bytes(st, to, c, 1);
}

static void messages_that_come_byte_by_byte_are_passed_on(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        write_slowly(st, client, passing[i].request);
        if (strcmp(stage_received(st, pod(st, i)), passing[i].pod_sees) != 0)
            fail_msg("%s: the pod saw\n%s", passing[i].name, st->received);
        write_slowly(st, pod(st, i), passing[i].answer);
        if (strcmp(stage_received(st, client), passing[i].client_sees) != 0)
            fail_msg("%s: the client saw\n%s", passing[i].name, st->received);
        assert_release(st, i, RELEASE_KEEP);
    }
}

static void forwarded_is_added_only_when_enabled(void **state)
{
    struct stage *st = *state;
    st->config->forwarded = true;
    struct stream *client = stage_client(st);

    stage_write(st, client, GET_WEB);
    assert_received(
        st, pod(st, 0),
        "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n"
        "Forwarded: for=\"127.0.0.1\";host=\"web.shop.svc\";proto=http\r\n\r\n");
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    stage_received(st, client);
    stage_write(st, client, "GET http://web.shop/ HTTP/1.1\r\nHost: a\\\r\n\r\n");
    assert_received(st, pod(st, 1), /* the host of the target, and not the Host field */
                    "GET / HTTP/1.1\r\nHost: web.shop\r\n"
                    "Forwarded: for=\"127.0.0.1\";host=\"web.shop\";proto=http\r\n\r\n");
}

/* Its field HTTP2-Settings is hop-by-hop, and so not passed on. */
static void an_upgrade_to_h2c_is_answered_in_http1(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(
        st, client,
        "GET / HTTP/1.1\r\nHost: web.shop.svc\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");
    assert_received(st, pod(st, 0), "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n");
}

/* A request, in a pod, for kube-tunnel's own service: no tunnel to itself is opened. */
static void a_service_that_is_ourselves_gets_our_own_pages(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->script[0].result = ERR_SELF;
    stage_write(st, client,
                "GET /healthz HTTP/1.1\r\nHost: kube-tunnel.default.svc\r\n\r\n");
    assert_non_null(strstr(stage_received(st, client), "\r\n\r\nown GET /healthz\n"));
    assert_int_equal(client->end.verdict, V_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_are_passed_on_byte_for_byte, stage_setup,
                                        stage_teardown),
        cmocka_unit_test_setup_teardown(messages_that_come_byte_by_byte_are_passed_on,
                                        stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(forwarded_is_added_only_when_enabled, stage_setup,
                                        stage_teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_to_h2c_is_answered_in_http1,
                                        stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(a_service_that_is_ourselves_gets_our_own_pages,
                                        stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("session/requests", tests, NULL, NULL);
}
