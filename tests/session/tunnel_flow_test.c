/* tests/session/tunnel_flow_test.c - bytes through a tunnel: split anywhere, paused,
 * lost */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"

static struct tunnel *tunnel_of(struct user *u)
{
    return rig_tunnel_of(user_stream(u));
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 13 + i / 997);
}

/* All kinds of frames that a server sends on a connection. */
static size_t a_whole_conversation(const struct server *s, uint8_t *to)
{
    uint32_t error_id = s->pairs[0].error_id, data_id = s->pairs[0].data_id;
    uint8_t *at = to;

    at += spdy_syn_reply_encode(error_id, true, at);
    at += spdy_syn_reply_encode(data_id, false, at);
    spdy_data_head_encode(data_id, 0, 5, at);
    memcpy(at + SPDY_HEAD, "hello", 5);
    at += SPDY_HEAD + 5;
    spdy_ping_encode(2, at); /* a PING with an id that was not sent */
    at += SPDY_PING_SIZE;
    memcpy(at,
           "\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x04"
           "\x00\x00\x00\x64",
           20); /* SETTINGS */
    at += 20;
    memcpy(at, "\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x0b\x00\x00\x10\x00", 16);
    at += 16;                                   /* WINDOW_UPDATE */
    spdy_data_head_encode(99, SPDY_FIN, 3, at); /* an unknown stream */
    memcpy(at + SPDY_HEAD, "???", 3);
    at += SPDY_HEAD + 3;
    spdy_data_head_encode(data_id, SPDY_FIN, 6, at);
    memcpy(at + SPDY_HEAD, " world", 6);
    at += SPDY_HEAD + 6;
    memcpy(at, "\x80\x03\x00\x08\x00\x00\x02\x00", 8); /* HEADERS, longer than we read */
    memset(at + 8, 0, 512);
    at[11] = 1;
    at += 8 + 512;
    spdy_data_head_encode(error_id, SPDY_FIN, 0, at);
    return (size_t)(at - to) + SPDY_HEAD;
}

static void expect_the_conversation(struct user *u)
{
    assert_true(user_stream(u)->end.opened);
    assert_int_equal(user_stream(u)->end.verdict, V_CLEAN);
    user_expect(u, "hello world", 11);
}

static void frames_may_be_cut_at_every_byte(void **state)
{
    (void)state;
    uint8_t wire[1024];
    size_t n = 1;

    for (size_t cut = 0; cut < n; cut++) {
        struct user u;
        struct server *s = rig_warm(&u);
        n = a_whole_conversation(s, wire);
        server_send(s, wire, cut);
        rig_run();
        s->pairs[0].server_fin = rig.turn + 1;
        server_send(s, wire + cut, n - cut);
        rig_run();
        expect_the_conversation(&u);
        user_finish(&u);
        rig_end(NULL);
        rig_begin(NULL);
    }
}

static void frames_may_come_byte_by_byte(void **state)
{
    (void)state;
    uint8_t wire[1024];
    struct user u;
    struct server *s = rig_warm(&u);
    size_t n = a_whole_conversation(s, wire);

    for (size_t i = 0; i < n; i++) {
        server_send(s, wire + i, 1);
        rig_run();
    }
    expect_the_conversation(&u);
    user_finish(&u);
}

/* The 101 and the first frames in one piece: what follows the head is SPDY. */
static void frames_may_come_with_the_101(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                                 "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    struct user u;
    uint8_t ping[SPDY_PING_SIZE];

    user_open(&u, "uid-1", 80);
    struct server *s = server_connect(0);
    s->switched = true;
    spdy_ping_encode(7, ping);
    server_send(s, answer, sizeof(answer) - 1);
    server_send(s, ping, 7);
    rig_run();
    assert_int_equal(u.opening.result, OK);
    server_send(s, ping + 7, sizeof(ping) - 7);
    server_data(s, 11, "x", 1, 0);
    rig_run();
    user_expect(&u, "x", 1);
    user_finish(&u);
}

static void bytes_that_are_not_spdy_end_the_tunnel_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *expected;
    } cases[] = {
        { "\x80\x02\x00\x01\x00\x00\x00\x00", 8, "not SPDY" }, /* version 2 */
        { "\x80\x03\x00\x0a\x00\x00\x00\x00", 8, "not SPDY" }, /* unknown type */
        { "\x00\x00\x00\x00\x00\x00\x00\x01", 8, "not SPDY" }, /* stream 0 */
        { "\x80\x03\x00\x02\x00\x10\x00\x00", 8, "not SPDY" }, /* endless control */
        { "\x80\x03\x00\x06\x00\x00\x00\x03\x01\x01\x01", 11, "type 6" }, /* short PING */
        { "\x80\x03\x00\x03\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00", 16,
          "type 3" }, /* RST with status 0 */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct user u;
        struct server *s = rig_warm(&u);
        server_send(s, cases[i].bytes, cases[i].n);
        rig_run();
        assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
        assert_true(user_stream(&u)->broken);
        if (!strstr(user_stream(&u)->end.why.text, cases[i].expected))
            fail_msg("case %zu says: %s", i, user_stream(&u)->end.why.text);
        assert_true(tunnels_idle(rig.tunnels));
        user_finish(&u);
    }
}

/* ---- a full pair ---- */

#define MEGABYTE (1024 * 1024)

static void a_full_pair_stops_the_tunnel_and_loses_no_byte(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    AUTO_FREE uint8_t *frame = xmalloc(30000);
    size_t sent = 0, got = 0, turns_full = 0;

    while (got < MEGABYTE) {
        if (sent < MEGABYTE && bufq_room(&s->end->out) >= 30000 + SPDY_HEAD) {
            size_t n = MEGABYTE - sent < 30000 ? MEGABYTE - sent : 30000;
            for (size_t i = 0; i < n; i++)
                frame[i] = byte_at(sent + i);
            server_data(s, 11, frame, n, 0);
            sent += n;
        }
        rig_run();
        struct bufq *in = &user_stream(&u)->in;
        assert_true(in->len <= PAIR_IN_LIMIT);
        turns_full += bufq_full(in);
        if (!bufq_full(in) && sent < MEGABYTE)
            continue;
        uint8_t part[7001];
        size_t n = bufq_read(in, part, sizeof(part));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(part[i], byte_at(got + i));
        got += n;
        stream_update(user_stream(&u));
    }
    assert_true(turns_full > 50);
    server_finish_pair(s, 0);
    rig_run();
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
}

static size_t fill_until_stuck(struct server *s)
{
    AUTO_FREE uint8_t *zeros = xcalloc(1, 20000);
    size_t sent = 0;

    while (bufq_room(&s->end->out) >= 20000 + SPDY_HEAD) {
        server_data(s, s->pairs[0].data_id, zeros, 20000, 0);
        rig_run();
        sent += 20000;
    }
    return sent;
}

/* While the tunnel is not read, no PING is sent and silence proves nothing. */
static void a_full_pair_is_not_a_dead_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    size_t pings = 0;

    fill_until_stuck(s);
    pings = s->ping_count;
    s->silent = true;
    rig_advance(120000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    assert_int_equal(s->ping_count, pings);
    s->silent = false;
    bufq_clear(&user_stream(&u)->in);
    stream_update(user_stream(&u));
    rig_run();
    bufq_clear(&user_stream(&u)->in);
    stream_update(user_stream(&u));
    rig_advance(6000);
    assert_true(s->ping_count > pings);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    user_finish(&u);
}

static struct stream *transport_of(struct user *u)
{
    return rig_tunnel_of(user_stream(u))->mux.transport;
}

/* A pair with its own tunnel stops it before a queue is full, and resumes it; the silence
 * while it is not read does not count. */
static void a_paused_pair_stops_its_own_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    user_stream(&u)->paused = true;
    stream_update(user_stream(&u));
    rig_run();
    assert_true(transport_of(&u)->paused);
    size_t pings = s->ping_count;
    rig_advance(120000);
    assert_int_equal(s->ping_count, pings);
    user_stream(&u)->paused = false;
    stream_update(user_stream(&u));
    rig_run();
    assert_false(transport_of(&u)->paused);
    s->silent = true;
    rig_advance(14000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(7000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    user_finish(&u);
}

static void a_stuck_transport_makes_its_pair_stuck(void **state)
{
    (void)state;
    struct user u;

    struct server *s = rig_warm(&u);
    transport_of(&u)->stuck = true;
    stream_update(user_stream(&u));
    rig_run();
    assert_true(user_stream(&u)->stuck);
    s->silent = true; /* a PING would wait behind data that the pod does not read */
    rig_advance(120000);
    transport_of(&u)->stuck = false;
    stream_update(user_stream(&u));
    rig_run();
    assert_false(user_stream(&u)->stuck);
    rig_advance(14000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(7000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    user_finish(&u);
}

/* While no PING can be sent, the kernel is queried whether the peer answers. */
static void a_stuck_transport_is_dead_when_the_kernel_reports_it(void **state)
{
    (void)state;
    struct user u;

    struct server *s = rig_warm(&u);
    transport_of(&u)->stuck = true;
    s->silent = true;
    rig_advance(120000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig.unanswered = true;
    rig_advance(rig.settings.ping_ms);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    assert_string_equal(user_stream(&u)->end.why.text,
                        "nothing was received within ping-timeout");
    user_finish(&u);
}

/* A pair that is closed, or idle in the pool, delays no other pair. */
static void closing_a_paused_pair_resumes_the_tunnel(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    user_stream(&u)->paused = true;
    stream_update(user_stream(&u));
    rig_run();
    stream_lend(user_stream(&u), false);
    rig_run();
    assert_false(transport_of(&u)->paused);
    user_finish(&u);
}

static void the_end_of_the_transport_waits_for_a_full_pair(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    size_t sent = fill_until_stuck(s), got = 0;

    server_finish_pair(s, 0);
    server_end(s);
    for (int i = 0; i < 10; i++) {
        rig_run();
        got += user_stream(&u)->in.len;
        bufq_clear(&user_stream(&u)->in);
        stream_update(user_stream(&u));
    }
    assert_int_equal(got, sent);
    assert_true(user_stream(&u)->in_eof);
    assert_true(tunnels_idle(rig.tunnels));
    user_finish(&u);
}

static void a_large_request_arrives_whole(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    size_t sent = 0, turns = 0;

    while (s->pairs[0].got.len < MEGABYTE) {
        struct stream *out = user_stream(&u);
        uint8_t part[5003];
        size_t n = bufq_room(&out->out);
        n = n < sizeof(part) ? n : sizeof(part);
        n = n < MEGABYTE - sent ? n : MEGABYTE - sent;
        for (size_t i = 0; i < n; i++)
            part[i] = byte_at(sent + i);
        sent += bufq_write(&out->out, part, n);
        stream_update(out);
        s->end->paused = turns++ % 7 != 0; /* the far end reads slowly */
        stream_update(s->end);
        if (turns % 3 == 0)
            rig_run();
        assert_true(turns < 100000);
    }
    for (size_t at = 0; at < MEGABYTE; at += 4096) {
        uint8_t part[4096];
        bufq_read(&s->pairs[0].got, part, sizeof(part));
        for (size_t i = 0; i < sizeof(part); i++)
            assert_int_equal(part[i], byte_at(at + i));
    }
    s->end->paused = false;
    user_finish(&u);
}

static void many_small_writes_are_one_frame(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    rig_run();
    for (int i = 0; i < 100; i++)
        user_write(&u, "0123456789", 10);
    rig_run();
    assert_int_equal(server_count(s, SPDY_DATA), 1);
    assert_int_equal(s->pairs[0].got.len, 1000);
    user_finish(&u);
}

/* ---- the end of the transport, in every state ---- */

enum end_kind { END_EOF, END_BREAK, END_DEADLINE, END_KINDS };

static void end_transport(struct server *s, enum end_kind kind)
{
    if (kind == END_EOF)
        server_end(s);
    else if (kind == END_BREAK)
        server_break(s);
    else
        s->silent = true;
    rig_advance(kind == END_DEADLINE ? 30000 : 0);
}

static void an_upgrade_that_ends_is_a_failed_opening(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "", "HTT", "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nso"
    };

    for (size_t i = 0; i < ARRAY_LEN(parts) * END_KINDS; i++) {
        struct user u;
        enum end_kind kind = (enum end_kind)(i % END_KINDS);
        user_open(&u, "uid-1", 80);
        struct server *s = server_connect(rig.dials - 1);
        server_send(s, parts[i / END_KINDS], strlen(parts[i / END_KINDS]));
        rig_run();
        end_transport(s, kind);
        assert_int_not_equal(u.opening.result, OK);
        assert_int_not_equal(u.opening.result, ERR_AGAIN);
        if (kind == END_DEADLINE)
            assert_int_equal(u.opening.result, ERR_TIMEOUT);
        assert_true(u.opening.error.why.text[0]);
        assert_true(u.wakes > 0);
        assert_true(tunnels_idle(rig.tunnels));
        user_finish(&u);
        rig_advance(500); /* no dial is made meanwhile */
    }
}

static void a_dial_ends_by_failure_time_out_or_the_last_cancelled_opening(void **state)
{
    (void)state;
    struct user u;

    user_open(&u, "uid-1", 80);
    server_refuse(0, ERR_CONNECT, "no route to host");
    assert_int_equal(u.opening.result, ERR_CONNECT);
    assert_string_equal(u.opening.error.why.text, "no route to host");
    user_finish(&u);
    rig_advance(500);

    user_open(&u, "uid-1", 80);
    rig_advance(9999);
    assert_int_equal(u.opening.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(u.opening.result, ERR_TIMEOUT);
    user_finish(&u);
    assert_true(tunnels_idle(rig.tunnels));
    rig_advance(500);

    user_open(&u, "uid-1", 80);
    user_finish(&u); /* the tunnel opens nevertheless, for the next opening */
    server_switch(server_connect(2));
    user_open(&u, "uid-1", 80);
    assert_int_equal(u.opening.result, OK);
    user_finish(&u);
}

/* An open tunnel: idle, with a live connection, one whose user has closed it, a partial
 * frame. */
static void a_tunnel_that_ends_takes_its_connections_along(void **state)
{
    (void)state;
    enum what {
        LIVE,
        IDLE,
        LEFT,
        ENDED,
        HALF_A_HEAD,
        HALF_A_CONTROL,
        HALF_A_PAYLOAD,
        PROBING,
        WHATS
    };

    for (int i = 0; i < WHATS * END_KINDS; i++) {
        enum end_kind kind = (enum end_kind)(i % END_KINDS);
        enum what what = (enum what)(i / END_KINDS);
        struct user u;
        struct server *s = rig_warm(&u);
        size_t p = s->pair_count - 1;

        if (what == IDLE || what == PROBING || what == ENDED)
            server_finish_pair(s, p);
        s->silent = what == PROBING;
        rig_run();
        if (what == IDLE || what == PROBING || what == LEFT)
            user_finish(&u);
        rig_run();
        if (what == HALF_A_HEAD)
            server_send(s, "\x80\x03\x00", 3);
        if (what == HALF_A_CONTROL)
            server_send(s, "\x80\x03\x00\x06\x00\x00\x00\x04\x00", 9);
        if (what == HALF_A_PAYLOAD)
            server_send(s, "\x00\x00\x00\x0b\x00\x00\x00\x09half", 12);
        rig_run();
        end_transport(s, kind);
        if (!tunnels_idle(rig.tunnels))
            fail_msg("still there: state %d, end %d", what, kind);
        if (what == LIVE || what >= HALF_A_HEAD) {
            if (what == PROBING)
                continue;
            assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
            assert_true(user_stream(&u)->in_eof && user_stream(&u)->broken);
            assert_true(user_stream(&u)->end.why.text[0]);
        }
        if (what == HALF_A_PAYLOAD)
            user_expect(&u, "half", 4);
        if (what == ENDED)
            assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
        user_finish(&u);
    }
}

static void a_silent_tunnel_is_dead_after_fifteen_seconds(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    rig_advance(60000); /* answered PINGs keep it */
    assert_int_equal(tunnel_of(&u)->state, TUNNEL_OPEN);
    assert_in_range(s->ping_count, 11, 12);
    s->silent = true;
    rig_advance(14000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(6000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    assert_string_equal(user_stream(&u)->end.why.text,
                        "nothing was received within ping-timeout");
    user_finish(&u);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(frames_may_be_cut_at_every_byte),
        TEST(frames_may_come_byte_by_byte),
        TEST(frames_may_come_with_the_101),
        TEST(bytes_that_are_not_spdy_end_the_tunnel_with_a_reason),
        TEST(a_full_pair_stops_the_tunnel_and_loses_no_byte),
        TEST(a_full_pair_is_not_a_dead_tunnel),
        TEST(a_paused_pair_stops_its_own_tunnel),
        TEST(a_stuck_transport_makes_its_pair_stuck),
        TEST(a_stuck_transport_is_dead_when_the_kernel_reports_it),
        TEST(closing_a_paused_pair_resumes_the_tunnel),
        TEST(the_end_of_the_transport_waits_for_a_full_pair),
        TEST(a_large_request_arrives_whole),
        TEST(many_small_writes_are_one_frame),
        TEST(an_upgrade_that_ends_is_a_failed_opening),
        TEST(a_dial_ends_by_failure_time_out_or_the_last_cancelled_opening),
        TEST(a_tunnel_that_ends_takes_its_connections_along),
        TEST(a_silent_tunnel_is_dead_after_fifteen_seconds),
    };
    return cmocka_run_group_tests_name("tunnel/flow", tests, NULL, NULL);
}
