/* tests/session/http2_test.c - requests of a client that speaks HTTP/2, to pods of HTTP/1
 *
 * The test writes the client's frames byte by byte, and reads those that come as text:
 * "settings", "[1] headers 200 end", "[1] data hi", "[1] reset 2", "goaway 11".
 */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define END_STREAM 1
#define END_HEADERS 4
#define ACK 1

enum frame { DATA, HEADERS, RESET = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE };

static void send_frame(struct stage *st, struct stream *client, enum frame type,
                       uint8_t flags, uint32_t stream, const void *payload, size_t n)
{
    uint8_t frame[9 + 1024] = { (uint8_t)(n >> 16),
                                (uint8_t)(n >> 8),
                                (uint8_t)n,
                                (uint8_t)type,
                                flags,
                                (uint8_t)(stream >> 24),
                                (uint8_t)(stream >> 16),
                                (uint8_t)(stream >> 8),
                                (uint8_t)stream };

    assert_true(n <= 1024);
    memcpy(frame + 9, payload, n);
    stage_write_bytes(st, client, frame, 9 + n);
}

/* Fields of the static table, and :authority as a literal. */
#define FIELDS(method) method "\x86\x84\x01\x0cweb.shop.svc"
#define GET FIELDS("\x82")
#define POST FIELDS("\x83")

static void get(struct stage *st, struct stream *client, uint32_t id)
{
    send_frame(st, client, HEADERS, END_STREAM | END_HEADERS, id, GET, sizeof(GET) - 1);
}

static struct stream *h2_client(struct stage *st, const char *settings, size_t n)
{
    struct stream *client = stage_client(st);

    stage_write(st, client, PREFACE);
    send_frame(st, client, SETTINGS, 0, 0, settings, n);
    send_frame(st, client, SETTINGS, ACK, 0, "", 0);
    return client;
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int status_of(const uint8_t *payload)
{
    static const int indexed[] = { 200, 204, 206, 304, 400, 404, 500 };

    if (payload[0] >= 0x88 && payload[0] <= 0x8e)
        return indexed[payload[0] - 0x88];
    return 0;
}

static int note(char *to, size_t room, enum frame type, uint8_t flags, uint32_t id,
                const uint8_t *payload, size_t n)
{
    const char *end = flags & END_STREAM ? " end" : "";

    switch (type) {
    case HEADERS:
        return snprintf(to, room, "[%u] headers %d%s\n", id, status_of(payload), end);
    case DATA:
        return snprintf(to, room, "[%u] data %.*s%s\n", id, (int)(n > 20 ? 20 : n),
                        (const char *)payload, end);
    case RESET:
        return snprintf(to, room, "[%u] reset %u\n", id, number(payload));
    case GOAWAY:
        return snprintf(to, room, "goaway %u\n", number(payload + 4));
    default:
        return 0;
    }
}

/* The frames that have come, without those of connection management. */
static const char *frames(struct stage *st, struct stream *client)
{
    static uint8_t bytes[1 << 18];
    static char text[4096];
    size_t len = 0;

    stage_run(st);
    size_t n = stage_read(st, client, (char *)bytes, sizeof(bytes));
    text[0] = '\0';
    for (size_t at = 0; at + 9 <= n;) {
        const uint8_t *f = bytes + at;
        size_t size = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        assert_true(at + 9 + size <= n);
        len += (size_t)note(text + len, sizeof(text) - len, (enum frame)f[3], f[4],
                            number(f + 5), f + 9, size);
        assert_true(len < sizeof(text));
        at += 9 + size;
    }
    return text;
}

static void requests_of_one_connection_run_side_by_side(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);

    get(st, client, 1);
    get(st, client, 3);
    assert_int_equal(st->lease_count, 2);
    assert_received(st, pod(st, 1), "GET / HTTP/1.1\r\nhost: web.shop.svc\r\n\r\n");
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    assert_string_equal(frames(st, client), "[3] headers 200\n[3] data two end\n");
    stage_write(st, pod(st, 0), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(frames(st, client), "[1] headers 404 end\n");
    assert_release(st, 0, RELEASE_KEEP);
    assert_release(st, 1, RELEASE_KEEP);
}

static void a_response_that_was_cut_resets_its_stream_alone(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);

    get(st, client, 1);
    get(st, client, 3);
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    hang_up(st, pod(st, 0));
    assert_string_equal(frames(st, client),
                        "[1] headers 200\n[1] data short\n[1] reset 2\n");
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_string_equal(frames(st, client), "[3] headers 200\n[3] data hi end\n");
}

static void a_client_that_resets_a_stream_returns_its_lease(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);

    get(st, client, 1);
    get(st, client, 3);
    send_frame(st, client, RESET, 0, 1, "\0\0\0\x8", 4);
    assert_release(st, 0, RELEASE_ABORT);
    assert_false(st->leases[1].returned);
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_string_equal(frames(st, client), "[3] headers 200\n[3] data hi end\n");
}

static void an_idle_connection_ends_and_says_so(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);
    uint64_t idle_ms = st->config->client_idle_timeout_ms;

    get(st, client, 1);
    stage_pass(st, idle_ms); /* while a request runs, it is not idle */
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(frames(st, client), "[1] headers 200 end\n");
    stage_pass(st, idle_ms - 1);
    assert_string_equal(frames(st, client), "");
    stage_pass(st, 1);
    assert_string_equal(frames(st, client), "goaway 0\n");
    assert_int_equal(client->end.verdict, V_CLEAN);
}

/* The head has left, and the client takes nothing of the body. */
static void a_client_that_takes_no_body_is_reset_in_time(void **state)
{
    struct stage *st = *state;
    st->config->send_timeout_ms = 30000;
    struct stream *client = h2_client(st, "\0\4\0\0\0\0", 6); /* windows of 0 bytes */

    get(st, client, 1);
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_release(st, 0, RELEASE_KEEP);
    assert_string_equal(frames(st, client), "[1] headers 200\n");
    stage_pass(st, 15000);
    assert_string_equal(frames(st, client), "");
    stage_pass(st, 15000);
    assert_string_equal(frames(st, client), "[1] reset 2\n");
}

static void streams_give_way_when_memory_runs_short(void **state)
{
    struct stage *st = *state;
    serve_limit_memory(stage_serve(st), 256 * 1024);
    struct stream *client = h2_client(st, "\0\4\0\0\0\0", 6);
    AUTO_FREE char *body = xcalloc(1, 50001);

    memset(body, 'b', 50000);
    for (uint32_t i = 0; i < 8; i++) {
        get(st, client, 2 * i + 1);
        stage_write(st, pod(st, i), "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n");
        stage_pass(st, 5000);
        stage_write(st, pod(st, i), body);
    }
    stage_pass(st, 5000);
    const char *received = frames(st, client);
    assert_non_null(strstr(received, "] reset 11\n"));
    assert_null(strstr(received, "goaway"));
}

/* A stream that is not read holds a connection to its pod. */
static void a_stream_gives_way_to_one_that_needs_a_tunnel_to_its_pod(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "\0\4\0\0\0\0", 6);
    AUTO_FREE char *body = xcalloc(1, 50001);

    memset(body, 'b', 50000);
    get(st, client, 1);
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
    stage_write(st, pod(st, 0), body);
    assert_string_equal(frames(st, client), "[1] headers 200\n");
    stage_pass(st, 10000);
    assert_false(serve_free_tunnel(stage_serve(st), "uid-1"));
    assert_true(serve_free_tunnel(stage_serve(st), "uid-0"));
    assert_string_equal(frames(st, client), "[1] reset 11\n");
    assert_release(st, 0, RELEASE_ABORT);
}

/* A pod that authenticates connections, not requests, expects the client on the same one. */
static void a_client_that_a_pod_has_authenticated_wants_its_connection_again(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);

    get(st, client, 1);
    assert_int_equal(st->leases[0].pair, 0);
    stage_write(st, pod(st, 0),
                "HTTP/1.1 200 OK\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
    get(st, client, 3);
    assert_true(st->leases[1].pair != 0);
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void a_drain_ends_the_connection_after_its_requests(void **state)
{
    struct stage *st = *state;
    struct stream *client = h2_client(st, "", 0);

    get(st, client, 1);
    frames(st, client);
    serve_drain(stage_serve(st), &st->drained);
    stage_run(st);
    assert_string_equal(frames(st, client), "goaway 0\n");
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_memory_equal(frames(st, client), "[1] headers 200\n[1] data hi end\n", 32);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_of_one_connection_run_side_by_side),
        TEST(a_response_that_was_cut_resets_its_stream_alone),
        TEST(a_client_that_resets_a_stream_returns_its_lease),
        TEST(an_idle_connection_ends_and_says_so),
        TEST(a_client_that_takes_no_body_is_reset_in_time),
        TEST(streams_give_way_when_memory_runs_short),
        TEST(a_stream_gives_way_to_one_that_needs_a_tunnel_to_its_pod),
        TEST(a_client_that_a_pod_has_authenticated_wants_its_connection_again),
        TEST(a_drain_ends_the_connection_after_its_requests),
    };
    return cmocka_run_group_tests_name("session/http2", tests, NULL, NULL);
}
