/* tests/session/termination_test.c - TLS of a client that ends in a session
 *
 * The client is net/tls.h's over a stream of the stage; the local CA is in a folder of the
 * test's own.  Lease 0 is the one that finds no TLS port.
 */
#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "ca/leaves.h"
#include "captured_log.h"
#include "net/tls.h"
#include "net/tls_ssl.h"

#define REQUEST "GET /x HTTP/1.1\r\nHost: web.shop.localhost\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct leaves *leaves;
static struct tls_context *context;
static char *folder;

static int begin(void **state)
{
    char template[] = "/tmp/ca-session-XXXXXX";

    stage_setup(state);
    struct stage *st = *state;
    captured_log_begin();
    folder = xstrdup(mkdtemp(template));
    leaves = leaves_create(&st->sched, folder);
    serve_terminate_tls(stage_serve(st), leaves);
    context = tls_context_new(TLS_client_method());
    for (size_t i = 0; i < LEASES_MAX; i += 2)
        st->script[i] = (struct outcome){ .result = ERR_NO_PORT, .why = "no TLS port" };
    return 0;
}

static int finish(void **state)
{
    AUTO_FREE char *command = xasprintf("rm -rf %s", folder);

    tls_context_unref(TAKE(context));
    int result = stage_teardown(state);
    leaves_destroy(TAKE(leaves));
    captured_log_end();
    assert_int_equal(system(command), 0);
    free(TAKE(folder));
    return result;
}

static struct stream *tls_over(struct stage *st, struct stream *below)
{
    struct stream *s = tls_open(&st->sched, &st->pool, context, below);

    SSL_set_connect_state(tls_ssl(s));
    SSL_set_tlsext_host_name(tls_ssl(s), "web.shop.localhost");
    return s;
}

/* A client whose handshake is complete.  The stage owns the stream below, so that one is not
 * closed with `s`. */
static struct stream *tls_client(struct stage *st)
{
    struct stream *s = tls_over(st, stage_client(st));

    st->clients[st->client_count - 1] = s;
    stage_run(st);
    assert_true(tls_ready(s));
    return s;
}

static void a_request_over_tls_is_answered(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    for (int i = 0; i < 2; i++) {
        stage_write(st, client, REQUEST);
        assert_received(st, pod(st, st->lease_count - 1),
                        "GET /x HTTP/1.1\r\nHost: web.shop.localhost\r\n"
                        "X-Forwarded-Proto: https\r\n\r\n");
        stage_write(st, pod(st, st->lease_count - 1), RESPONSE);
        assert_received(st, client, RESPONSE);
        st->script[st->lease_count] = (struct outcome){ 0 };
    }
}

static void a_head_that_is_in_several_records_is_one(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    for (const char *at = REQUEST; *at; at++)
        stage_write_bytes(st, client, at, 1);
    assert_int_equal(st->lease_count, 2);
    stage_write(st, pod(st, 1), RESPONSE);
    assert_received(st, client, RESPONSE);
}

static void strict_transport_security_is_not_passed_on(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    stage_write(st, client, REQUEST);
    stage_write(st, pod(st, 1),
                "HTTP/1.1 200 OK\r\nA: b\r\nstrict-transport-security: max-age=1\r\n"
                "Content-Length: 2\r\n\r\nhi");
    assert_received(st, client, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
}

/* Its hello is complete, the handshake is not. */
static struct stream *half_client(struct stage *st, struct stream_pair *ret_wire)
{
    uint8_t hello[2048];
    struct stream *raw = stage_client(st);

    *ret_wire = mem_stream_pair(&st->sched, &st->pool, STAGE_LIMIT);
    struct stream *s = tls_over(st, ret_wire->a);
    stage_run(st);
    size_t n = bufq_read(&ret_wire->b->in, hello, sizeof(hello));
    assert_true(n > 100);
    stage_write_bytes(st, raw, hello, n);
    assert_false(bufq_empty(&raw->in)); /* the ServerHello */
    stream_close(s);
    stream_close(ret_wire->b);
    return raw;
}

static void a_handshake_that_stops_is_closed_after_head_timeout(void **state)
{
    struct stage *st = *state;
    struct stream_pair wire;
    struct stream *raw = half_client(st, &wire);

    stage_pass(st, st->config->head_timeout_ms - 1);
    assert_int_equal(raw->end.verdict, V_OPEN);
    stage_pass(st, 2);
    stage_pass(st, 5000);
    assert_int_not_equal(raw->end.verdict, V_OPEN);
    assert_int_equal(serve_sessions(stage_serve(st)), 0);
}

static void a_reset_in_the_handshake_frees_the_session(void **state)
{
    struct stage *st = *state;
    struct stream_pair wire;

    half_client(st, &wire);
    drop(st, &st->clients[0]);
    assert_int_equal(serve_sessions(stage_serve(st)), 0);
    assert_non_null(strstr(captured_log(), "TLS handshake failed"));
}

static void a_close_notify_is_answered(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    hang_up(st, client);
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_int_equal(serve_sessions(stage_serve(st)), 0);
}

static void an_end_without_close_notify_is_a_reset(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    stage_write(st, client,
                "POST / HTTP/1.1\r\nHost: web.shop.localhost\r\n"
                "Content-Length: 9\r\n\r\nhalf");
    stream_shutdown(client->ops->below(client));
    stage_run(st);
    assert_release(st, 1, RELEASE_ABORT);
    assert_int_equal(serve_sessions(stage_serve(st)), 0);
}

static void another_protocol_inside_tls_is_refused(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    stage_write_bytes(st, client, "\5\1\0", 3);
    assert_non_null(strstr(stage_received(st, client), "HTTP/1.1 400 "));
    assert_int_equal(client->end.verdict, V_CLEAN);
}

static void a_client_that_does_not_read_pauses_the_pod(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);
    static char body[65536];

    stage_write(st, client, REQUEST);
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n");
    client->paused = true;
    size_t sent = 0;
    for (int i = 0; i < 64; i++) {
        sent += bufq_write(&pod(st, 1)->out, body, sizeof(body));
        stream_update(pod(st, 1));
        stage_run(st);
    }
    assert_in_range(sent, 65536, 12 * 65536);
    client->paused = false;
}

static void draining_ends_idle_connections_in_order(void **state)
{
    struct stage *st = *state;
    struct stream *client = tls_client(st);

    stage_drain(st);
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_int_equal(serve_sessions(stage_serve(st)), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_request_over_tls_is_answered),
        TEST(a_head_that_is_in_several_records_is_one),
        TEST(strict_transport_security_is_not_passed_on),
        TEST(a_handshake_that_stops_is_closed_after_head_timeout),
        TEST(a_reset_in_the_handshake_frees_the_session),
        TEST(a_close_notify_is_answered),
        TEST(an_end_without_close_notify_is_a_reset),
        TEST(another_protocol_inside_tls_is_refused),
        TEST(a_client_that_does_not_read_pauses_the_pod),
        TEST(draining_ends_idle_connections_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
