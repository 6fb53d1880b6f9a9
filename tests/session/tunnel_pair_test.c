/* tests/session/tunnel_pair_test.c - one forwarded connection: opening it, and its verdict */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"

#define SANDBOX "4f1b0a6c2e5d8f7a9b3c1d0e4f6a8b2c5d7e9f1a3b4c6d8e0f2a4b6c8d0e1f3a"
#define NETNS "/var/run/netns/cni-5d3e8a6f-0b1c-2d4e-9f8a-7b6c5d4e3f2a"

/* The text of containerd 1.6 to 2.1 (internal/cri/server/sandbox_portforward_linux.go). */
static const char containerd_refused[] =
    "error forwarding port 9001 to pod " SANDBOX
    ", uid : failed to execute portforward in network namespace \"" NETNS
    "\": failed to connect to localhost:9001 inside namespace \"" SANDBOX
    "\", IPv4: dial tcp4 127.0.0.1:9001: connect: connection refused IPv6 dial tcp6 "
    "[::1]:9001: connect: connection refused ";
/* Older kubelets fill in the uid, and some nodes have a longer path. */
static const char containerd_refused_long[] =
    "error forwarding port 19001 to pod " SANDBOX
    ", uid 0b6d9c38-7a3f-4f6e-9a55-1c1b5c1f0d77: failed to execute portforward in "
    "network "
    "namespace \"/run/k3s/containerd" NETNS
    "\": failed to connect to localhost:19001 inside namespace \"" SANDBOX
    "\", IPv4: dial tcp4 127.0.0.1:19001: connect: connection refused IPv6 dial tcp6 "
    "[::1]:19001: connect: connection refused ";
static const char containerd_gone[] =
    "error forwarding port 80 to pod " SANDBOX
    ", uid : network namespace for sandbox \"" SANDBOX "\" is closed";
static const char containerd_unknown[] =
    "error forwarding port 80 to pod " SANDBOX ", uid : failed to find sandbox \"" SANDBOX
    "\" in store: not found";
static const char containerd_reset[] =
    "error forwarding port 9000 to pod " SANDBOX
    ", uid : failed to execute portforward in network namespace \"" NETNS
    "\": read tcp4 127.0.0.1:43210->127.0.0.1:9000: read: connection reset by peer";
static const char crio_refused[] =
    "error forwarding port 9001 to pod " SANDBOX
    ", uid : port forward into network namespace \"" NETNS
    "\": failed to connect to localhost:9001 inside namespace " SANDBOX
    ": dial tcp [::1]:9001: connect: connection refused";
static const char crio_gone[] = "error forwarding port 80 to pod " SANDBOX
                                ", uid : sandbox " SANDBOX " is not running";
static const char crio_unknown[] =
    "error forwarding port 80 to pod " SANDBOX
    ", uid : PodSandbox with ID starting with " SANDBOX " not found: ID does not exist";
static const char dockerd_refused[] =
    "error forwarding port 9001 to pod " SANDBOX
    ", uid : exit status 1: 2026/11/02 10:00:00 socat[4711] E connect(5, AF=2 "
    "127.0.0.1:9001, 16): Connection refused";

/* The runtime reports that the container refuses the connection, and ends the error stream. */
static void refuse_pair(struct server *s, size_t pair)
{
    server_text(s, pair, containerd_refused);
    server_fin(s, pair, true);
    rig_run();
}

/* The pair ends cleanly, and its user closes it. */
static void end_cleanly(struct server *s, size_t pair, struct user *u)
{
    server_finish_pair(s, pair);
    rig_run();
    user_finish(u);
    rig_run();
}

/* More frames than the queue of the runtime's worker holds. */
static void write_60_frames(struct user *u)
{
    for (int i = 0; i < 60; i++) {
        user_write(u, "and another thing", 17);
        rig_run();
    }
}

static void a_connection_and_its_first_bytes_leave_in_one_write(void **state)
{
    (void)state;
    struct user u;

    user_open(&u, "uid-1", 8080);
    struct server *s = server_connect(0);
    assert_int_equal(s->writes, 1); /* the request, and nothing more before the 101 */
    server_switch(s);
    user_write(&u, "GET", 3);
    unsigned before = s->writes;
    rig_run();
    assert_true(s->writes <= before + 1);
    assert_int_equal(s->pair_count, 1);
    assert_int_equal(s->pairs[0].port, 8080);
    assert_int_equal(s->pairs[0].got.len, 3);
    assert_int_equal(s->pairs[0].error_id, 1);
    assert_int_equal(s->pairs[0].data_id, 11);
    user_finish(&u);
}

static void on_an_open_tunnel_a_pair_and_its_first_bytes_leave_in_one_write(void **state)
{
    (void)state;
    struct user u, v;

    struct server *s = rig_warm(&u);
    user_finish(&u);
    rig_run();
    unsigned before = s->writes;
    user_open(&v, "uid-1", 9090);
    assert_int_equal(v.opening.result, OK);
    assert_false(v.opening.dialled);
    user_write(&v, "hello", 5);
    rig_run();
    assert_int_equal(s->writes, before + 1);
    assert_int_equal(s->pair_count, 2);
    assert_int_equal(s->pairs[1].port, 9090);
    assert_int_equal(s->pairs[1].got.len, 5);
    assert_int_equal(s->seen[s->seen_count - 3].write, s->writes); /* SYN, SYN, DATA */
    assert_int_equal(s->seen[s->seen_count - 1].type, SPDY_DATA);
    assert_int_equal(rig.dials, 1);
    user_finish(&v);
}

static void nothing_is_sent_before_the_101(void **state)
{
    (void)state;
    struct user u;

    user_open(&u, "uid-1", 80);
    struct server *s = server_connect(0);
    rig_advance(9000);
    assert_int_equal(s->writes, 1);
    assert_non_null(strstr(s->request, "\r\n\r\n"));
    assert_string_equal(strstr(s->request, "\r\n\r\n"), "\r\n\r\n");
    assert_memory_equal(s->request,
                        "POST /k8s/api/v1/namespaces/shop/pods/web-1/portforward "
                        "HTTP/1.1\r\nHost: api.test:6443\r\n",
                        82);
    assert_non_null(strstr(s->request, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(s->request, "Content-Length: 0\r\n"));
    user_finish(&u);
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    uint8_t reply[SPDY_SYN_REPLY_MAX];

    server_send(s, reply, spdy_syn_reply_encode(1, true, reply));
    server_send(s, reply, spdy_syn_reply_encode(11, false, reply));
    server_data(s, 11, "one ", 4, 0);
    server_data(s, 11, "two", 3, 0);
    rig_run();
    assert_true(user_stream(&u)->end.opened);
    user_expect(&u, "one two", 7);
    assert_false(user_stream(&u)->in_eof);
    user_finish(&u);
}

static void a_pair_ends_cleanly_with_both_fins_and_no_error_text(void **state)
{
    (void)state;

    for (int error_first = 0; error_first < 2; error_first++) {
        struct user u;
        struct server *s = rig_warm(&u);
        size_t i = s->pair_count - 1;

        server_data(s, s->pairs[i].data_id, "bye", 3, 0);
        server_fin(s, i, error_first);
        rig_run();
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
        assert_false(user_stream(&u)->in_eof);
        rig_advance(1999);
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
        server_fin(s, i, !error_first);
        rig_run();
        assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
        assert_true(user_stream(&u)->in_eof);
        assert_false(user_stream(&u)->broken);
        assert_true(s->pairs[i].client_fin); /* the client's FIN follows at once */
        user_expect(&u, "bye", 3);
        user_finish(&u);
        connector_retire(tunnels_connector(rig.tunnels), "uid-1");
        rig_run();
        assert_true(tunnels_idle(rig.tunnels));
    }
}

/* The error stream decides; without it the verdict is a reset after two seconds. */
static void data_fin_alone_is_a_reset_after_two_seconds(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    server_data(s, 11, "half", 4, SPDY_FIN);
    s->pairs[0].server_fin = rig.turn + 1;
    rig_run();
    assert_true(s->pairs[0].client_fin);
    rig_advance(1999);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(1);
    assert_int_equal(user_stream(&u)->end.verdict, V_RESET);
    assert_true(user_stream(&u)->broken);
    user_expect(&u, "half", 4);
    server_fin(s, 0, true); /* arrives too late */
    rig_run();
    assert_int_equal(user_stream(&u)->end.verdict, V_RESET);
    user_finish(&u);
}

static void the_error_text_selects_the_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum verdict verdict;
    } cases[] = {
        { containerd_refused, V_REFUSED },      { crio_refused, V_REFUSED },
        { containerd_refused_long, V_REFUSED }, { dockerd_refused, V_REFUSED },
        { containerd_gone, V_TARGET_GONE },     { containerd_unknown, V_TARGET_GONE },
        { crio_gone, V_TARGET_GONE },           { crio_unknown, V_TARGET_GONE },
        { containerd_reset, V_RESET },          { "something new", V_RESET },
    };
    enum how { FINS, DATA_FIN_FIRST, RST_AFTER, ONLY_TEXT, IN_PIECES, HOWS };

    for (size_t i = 0; i < ARRAY_LEN(cases) * HOWS; i++) {
        const char *text = cases[i / HOWS].text;
        enum how how = (enum how)(i % HOWS);
        struct user u;
        struct server *s = rig_warm(&u);
        size_t n = strlen(text);

        if (how == DATA_FIN_FIRST || how == RST_AFTER)
            server_fin(s, 0, false);
        for (size_t at = 0; at < n && how == IN_PIECES; at++) {
            server_data(s, 1, text + at, 1, 0);
            rig_run();
        }
        if (how != IN_PIECES)
            server_text(s, 0, text);
        if (how == RST_AFTER)
            server_rst(s, 1);
        else if (how != ONLY_TEXT)
            server_fin(s, 0, true);
        rig_run();
        if (how == ONLY_TEXT) {
            assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
            rig_advance(2000);
        }
        if (user_stream(&u)->end.verdict != cases[i / HOWS].verdict)
            fail_msg("verdict %d, way %d: %s", user_stream(&u)->end.verdict, how, text);
        assert_true(user_stream(&u)->in_eof);
        assert_true(user_stream(&u)->broken);
        assert_non_null(strstr(text, user_stream(&u)->end.why.text));
        assert_true(s->pairs[0].client_fin);
        user_finish(&u);
        rig_end(NULL); /* each on a tunnel of its own */
        rig_begin(NULL);
    }
}

/* The request was delivered if an answer has begun, whatever the error text. */
static void after_the_first_byte_of_an_answer_a_failure_is_a_reset(void **state)
{
    (void)state;
    static const char *const texts[] = { containerd_refused, containerd_gone };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct user u;
        struct server *s = rig_warm(&u);
        server_data(s, s->pairs[0].data_id, "x", 1, 0);
        server_text(s, 0, texts[i]);
        server_fin(s, 0, true);
        rig_run();
        assert_int_equal(user_stream(&u)->end.verdict, V_RESET);
        user_finish(&u);
        rig_end(NULL);
        rig_begin(NULL);
    }
}

static void rst_stream_of_either_stream_is_a_reset(void **state)
{
    (void)state;

    for (uint32_t id = 1; id <= 11; id += 10) {
        struct user u;
        struct server *s = rig_warm(&u);
        server_data(s, 11, "part", 4, 0);
        server_rst(s, id);
        rig_run();
        assert_int_equal(user_stream(&u)->end.verdict, V_RESET);
        user_expect(&u, "part", 4);
        user_finish(&u);
        rig_run();
        /* the client sends no RST_STREAM in return */
        assert_int_equal(server_count(s, SPDY_RST_STREAM), 0);
        rig_end(NULL);
        rig_begin(NULL);
    }
}

/* in_eof means that no byte follows, also if the server sends more after its RST. */
static void bytes_after_the_verdict_are_dropped(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    server_data(s, 11, "before", 6, 0);
    server_rst(s, 11);
    rig_run();
    assert_true(user_stream(&u)->in_eof);
    for (int i = 0; i < 40; i++) { /* more than any queue holds */
        AUTO_FREE uint8_t *zeros = xcalloc(1, 8192);
        server_data(s, 11, zeros, 8192, 0);
        rig_run();
    }
    assert_true(bufq_empty(&s->end->out));
    user_expect(&u, "before", 6);
    user_finish(&u);
}

static void nothing_is_sent_after_the_fin_of_the_pod(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    user_write(&u, "first", 5);
    rig_run();
    server_fin(s, 0, false);
    rig_run();
    user_write(&u, "too late", 8);
    rig_advance(100);
    stream_shutdown(user_stream(&u));
    rig_advance(100);
    assert_int_equal(s->pairs[0].got.len, 5);
    assert_true(s->pairs[0].client_fin);
    server_fin(s, 0, true);
    rig_run();
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
}

static void shutdown_sends_fin_after_the_last_byte(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    user_write(&u, "all of it", 9);
    stream_shutdown(user_stream(&u));
    assert_false(user_stream(&u)->out_eof);
    rig_run();
    assert_int_equal(s->pairs[0].got.len, 9);
    assert_true(s->pairs[0].client_fin);
    assert_true(user_stream(&u)->out_eof);
    server_data(s, 11, "answer", 6, 0);
    server_finish_pair(s, 0);
    rig_run();
    user_expect(&u, "answer", 6);
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
}

/* ---- leaving ---- */

static struct tunnel *tunnel_of(struct user *u)
{
    return rig_tunnel_of(user_stream(u));
}

static void far_end_sends(struct server *s, size_t pair, size_t times)
{
    AUTO_FREE uint8_t *zeros = xcalloc(1, 8192);

    for (size_t i = 0; i < times; i++) {
        server_data(s, s->pairs[pair].data_id, zeros, 8192, 0);
        rig_run();
    }
}

static void a_closed_pair_drops_bytes_until_its_verdict(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    user_write(&u, "unsent", 6);
    user_finish(&u); /* drops unsent bytes */
    rig_run();
    assert_true(s->pairs[0].client_fin);
    far_end_sends(s, 0, 8);
    assert_true(bufq_empty(&s->end->out));
    rig_advance(900);
    assert_int_equal(t->mux.closing_count, 1);
    server_finish_pair(s, 0);
    rig_run();
    assert_int_equal(t->mux.closing_count, 0);
    assert_int_equal(t->mux.slots.state[1], SLOT_SPENT);
    assert_int_equal(s->ping_count, 0); /* four proven slots are left */
}

/* The next pair of the tunnel would wait behind those bytes. */
static void a_pod_that_goes_on_sending_after_a_close_costs_an_own_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    s->silent = true;
    user_finish(&u);
    rig_run();
    far_end_sends(s, 0, PAIR_DROPPED_MAX / 8192 + 1);
    /* the slot is reused as soon as the client's FIN was handled */
    assert_int_equal(s->ping_count, 5);
    assert_false(tunnels_idle(rig.tunnels));
    server_pong_from(s, 0);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
}

/* The pair whose queue was full stopped the reading of its tunnel. */
static void a_close_of_a_full_pair_resumes_reading(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    AUTO_FREE uint8_t *zeros = xcalloc(1, 32768);

    stream_shutdown(user_stream(&u));
    rig_run();
    assert_true(s->pairs[0].client_fin);
    for (int i = 0; i < 5; i++) {
        if (bufq_room(&s->end->out) < 32768 + SPDY_HEAD)
            break;
        server_data(s, 11, zeros, 32768, 0);
        rig_run();
    }
    assert_true(bufq_full(&user_stream(&u)->in));
    assert_false(bufq_empty(&s->end->out));
    user_finish(&u);
    rig_run();
    assert_true(bufq_empty(&s->end->out));
    server_finish_pair(s, 0);
    rig_run();
    /* more than 64 KiB were still to come, so the tunnel was closed */
    assert_true(tunnels_idle(rig.tunnels));
}

static void no_verdict_after_a_close_costs_the_slot(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    user_finish(&u);
    rig_advance(9999);
    assert_int_equal(t->mux.slots.state[1], SLOT_SPENT);
    rig_advance(1);
    assert_int_equal(t->mux.slots.state[1], SLOT_DEAD);
    assert_true(s->ping_count < 5); /* only those of liveness checks */
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, OK);
    rig_run();
    assert_true(s->pairs[1].data_id % 5 != 1);
    user_finish(&v);
}

/* The error stream is read also after the user has closed the pair. */
static void a_failure_after_a_close_costs_the_slot(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    user_write(&u, "x", 1);
    rig_run();
    user_finish(&u);
    rig_run();
    server_fin(s, 0, false);
    refuse_pair(s, 0);
    assert_int_equal(t->mux.slots.state[1], SLOT_DEAD);
    assert_int_equal(s->ping_count, 0);
}

static void a_failed_connection_costs_its_slot_only(void **state)
{
    (void)state;
    struct user users[5];
    struct server *s = rig_warm(&users[0]);
    struct tunnel *t = tunnel_of(&users[0]);
    unsigned used = 0;

    for (size_t i = 0; i < 5; i++) {
        if (i > 0)
            user_open(&users[i], "uid-1", 80);
        assert_int_equal(users[i].opening.result, OK);
        rig_run();
        used |= 1u << s->pairs[i].data_id % 5;
        refuse_pair(s, i);
        assert_int_equal(user_stream(&users[i])->end.verdict, V_REFUSED);
        if (i < 4)
            assert_int_equal(t->state, TUNNEL_OPEN);
        user_finish(&users[i]);
        rig_run();
    }
    assert_int_equal(used, 0x1f);
    assert_int_equal(rig.dials, 1);
    assert_int_equal(server_count(s, SPDY_PING), 0);
    assert_true(tunnels_idle(rig.tunnels)); /* no good slot is left: it closes */
}

/* A tunnel of which `dead` pairs failed with data in transit, which stops their workers;
 * one idle pair is on the last worker. */
static struct server *with_dead_workers(size_t dead, struct user *live)
{
    struct server *s = rig_warm(live);

    for (size_t i = 0; i < dead; i++) {
        rig_run();
        s->stuck |= 1u << s->pairs[i].data_id % 5;
        refuse_pair(s, i);
        user_finish(live);
        rig_run();
        user_open(live, "uid-1", 80);
        user_stream(live);
    }
    assert_int_equal(rig.dials, 1);
    return s;
}

/* PINGs wait in the dead worker's queue, which holds 50 frames. */
static void at_most_40_pings_wait_in_the_queue_of_a_dead_worker(void **state)
{
    (void)state;
    struct user live;
    struct server *s = with_dead_workers(1, &live);

    rig_advance(3 * 3600 * 1000);
    assert_in_range(s->ping_count - s->pong_count, 1, 40);
    assert_int_equal(user_stream(&live)->end.verdict, V_OPEN);
    user_finish(&live);
}

static void dead_workers_do_not_make_a_dead_tunnel(void **state)
{
    (void)state;
    struct user live;

    with_dead_workers(4, &live);
    rig_advance(120000);
    assert_int_equal(user_stream(&live)->end.verdict, V_OPEN);
    tunnels_check(rig.tunnels, "a test");
    rig_advance(5000);
    assert_int_equal(user_stream(&live)->end.verdict, V_OPEN);
    user_finish(&live);
}

/* The pod may have ended a second before the runtime passes on its FIN: frames that are
 * sent meanwhile stay in the worker's queue, and after 50 of them the runtime stops
 * reading the tunnel. */
static void a_pair_that_sent_60_frames_without_an_answer_costs_its_tunnel(void **state)
{
    (void)state;

    for (int received = 0; received < 2; received++) {
        struct user u, next;
        struct server *s = rig_warm(&u);

        write_60_frames(&u);
        if (received)
            server_data(s, s->pairs[0].data_id, "yes", 3, 0);
        rig_run();
        end_cleanly(s, 0, &u);
        user_open(&next, "uid-1", 80);
        rig_run();
        assert_int_equal(next.opening.result, received ? OK : ERR_AGAIN);
        user_finish(&next);
    }
}

static void frames_sent_before_a_close_have_10_s_to_be_read(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    write_60_frames(&u);
    s->stuck = 1u << (s->pairs[0].data_id % 5);
    user_finish(&u);
    rig_advance(9999);
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(1);
    assert_true(tunnels_idle(rig.tunnels));
}

static void an_abort_closes_the_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    user_write(&u, "x", 1);
    rig_run();
    stream_abort(TAKE(u.opening.stream));
    user_finish(&u);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
    assert_true(s->end->end.verdict != V_OPEN);
}

static void an_abort_after_a_clean_end_costs_nothing(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);

    server_finish_pair(s, 0);
    rig_run();
    stream_abort(TAKE(u.opening.stream));
    user_finish(&u);
    rig_run();
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, OK);
    assert_int_equal(rig.dials, 1);
    user_finish(&v);
}

/* ---- closed pairs without a verdict ---- */

/* Opens and closes pairs 0, 1, ... of an own tunnel, one after the other, without a
 * verdict. */
static void come_and_leave(size_t times)
{
    struct user u;

    for (size_t i = 0; i < times; i++) {
        user_open(&u, "uid-1", 80);
        assert_int_equal(u.opening.result, OK);
        user_write(&u, "x", 1);
        rig_run();
        user_finish(&u);
        rig_run();
    }
}

/* A tunnel of which a pair was closed without a verdict, and `more` pairs after it. */
static struct tunnel *closed_pairs(struct server **ret_server, size_t more)
{
    struct user u;

    *ret_server = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);
    user_finish(&u);
    rig_run();
    come_and_leave(more);
    return t;
}

static void a_pair_opens_while_closed_pairs_have_no_verdict(void **state)
{
    (void)state;
    struct server *s;
    struct tunnel *t = closed_pairs(&s, 12);

    assert_int_equal(rig.dials, 1);
    assert_int_equal(s->pair_count, 13);
    assert_int_equal(t->mux.closing_count, 13);
    assert_in_range(s->ping_count, 5, 20); /* and not five for each */
    for (size_t i = 0; i < 13; i++)
        server_finish_pair(s, i);
    rig_run();
    assert_int_equal(t->mux.closing_count, 0);
    assert_int_equal(t->state, TUNNEL_OPEN);
}

/* By then its slot is used by another pair. */
static void a_late_verdict_does_not_concern_the_next_pair_of_its_slot(void **state)
{
    (void)state;
    struct user v;
    struct server *s;
    struct tunnel *t =
        closed_pairs(&s, 4); /* the next pair gets the slot of one of these */

    user_open(&v, "uid-1", 80);
    rig_run();
    uint32_t id = s->pairs[5].data_id;
    size_t before = 0;
    while (s->pairs[before].data_id % WORKERS != id % WORKERS)
        before++;
    assert_in_range(before, 0, 4);

    server_fin(s, before, false);
    server_text(s, before, containerd_refused);
    server_rst(s, s->pairs[before].error_id);
    rig_run();
    assert_int_equal(t->mux.closing_count, 4);
    assert_int_equal(t->mux.slots.state[id % WORKERS], SLOT_BUSY);
    assert_int_equal(user_stream(&v)->end.verdict, V_OPEN);
    server_data(s, s->pairs[before].data_id, "old", 3, 0); /* a late frame */
    server_data(s, id, "new", 3, 0);
    rig_run();
    user_expect(&v, "new", 3);
    user_finish(&v);
}

static void a_failure_after_its_slot_was_probed_costs_nothing(void **state)
{
    (void)state;
    struct server *s;
    struct tunnel *t = closed_pairs(&s, 3);

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(t->mux.slots.state[s->pairs[i].data_id % WORKERS], SLOT_FREE);
        server_rst(s, s->pairs[i].error_id);
    }
    rig_run();
    assert_int_equal(t->mux.closing_count, 0);
    for (size_t r = 0; r < WORKERS; r++)
        assert_int_equal(t->mux.slots.state[r], SLOT_FREE);
}

/* A refused pair too may have stopped its worker. */
static void a_failure_before_its_slot_was_probed_costs_the_slot(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    s->silent = true;
    user_finish(&u);
    rig_run();
    come_and_leave(3); /* and a probe is under way */
    assert_int_equal(s->ping_count, 5);
    server_rst(s, s->pairs[1].data_id);
    rig_run();
    uint32_t slot = s->pairs[1].data_id % WORKERS;
    assert_int_equal(t->mux.slots.state[slot], SLOT_DEAD);
    server_pong_from(s, 0);
    rig_run();
    assert_int_equal(t->mux.slots.state[slot], SLOT_DEAD);
    assert_int_equal(t->mux.slots.state[1], SLOT_FREE);
}

/* The tunnel closes with the aborted pair, but not before the last bytes of closed pairs
 * were read. */
static void an_abort_lets_closed_pairs_deliver_their_last_bytes(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);

    s->silent = true;
    user_write(&u, "important", 9);
    user_finish(&u);
    rig_run();
    user_open(&v, "uid-1", 80);
    rig_run();
    stream_abort(TAKE(v.opening.stream));
    user_finish(&v);
    rig_run();
    assert_false(tunnels_idle(rig.tunnels));
    assert_int_equal(s->ping_count, 5);
    server_pong_from(s, 0);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
}

static void at_most_100_closed_pairs_wait_for_a_verdict(void **state)
{
    (void)state;
    struct user u;
    struct server *s;
    struct tunnel *t = closed_pairs(&s, 0);

    while (t->mux.closing_count < 100)
        come_and_leave(1);
    user_open(&u, "uid-1", 80);
    rig_run();
    assert_int_equal(u.opening.result, ERR_AGAIN);
    server_finish_pair(s, 0);
    rig_run();
    assert_int_equal(u.opening.result, OK);
    user_finish(&u);
    rig_advance(10000); /* they end also without a verdict */
    assert_int_equal(t->mux.closing_count, 0);
}

/* ---- the probe ---- */

/* The pair of `u` has ended well, and those after it, so that one good slot is left.
 * Their pairs: 0 to 3. */
static void use_up(struct server *s, struct user *u)
{
    end_cleanly(s, 0, u);
    for (size_t i = 1; i < 4; i++) {
        come_and_leave(1);
        server_finish_pair(s, i);
        rig_run();
    }
}

static void five_pings_follow_when_one_slot_is_left(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    s->silent = true;
    end_cleanly(s, 0, &u);
    come_and_leave(2);
    user_open(&v, "uid-1", 80);
    rig_run();
    server_finish_pair(s, 3);
    rig_run();
    assert_int_equal(s->ping_count, 0); /* no probe before the user has closed the pair */
    user_finish(&v);
    rig_run();
    assert_int_equal(s->ping_count, 5);
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(s->pings[i], s->pings[0] + 2 * i);
        assert_int_equal(s->seen[s->seen_count - 1 - i].type, SPDY_PING);
    }
    for (size_t i = 0; i < 5; i++) { /* in any order */
        assert_int_equal(t->mux.slots.state[1], SLOT_PROBED);
        server_pong(s, (i * 2) % 5);
        rig_run();
    }
    assert_int_equal(t->mux.slots.state[1], SLOT_FREE);
    assert_false(t->mux.retired);
    rig_advance(10000);
    assert_int_equal(t->state, TUNNEL_OPEN);
}

static void four_of_five_pongs_retire_the_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    s->silent = true;
    use_up(s, &u);
    for (size_t i = 0; i < 4; i++)
        server_pong(s, i);
    server_pong(s, 3); /* the same one twice does not count */
    rig_advance(1999);
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(1);
    assert_true(tunnels_idle(rig.tunnels));
}

/* A failed probe shows that one worker is stuck, not that all are. */
static void a_failed_probe_leaves_a_live_connection_alone(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);

    s->silent = true;
    use_up(s, &u);
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, OK);
    user_write(&v, "hello", 5);
    rig_advance(3000);
    assert_int_equal(user_stream(&v)->end.verdict, V_OPEN);
    assert_int_equal(s->pairs[4].got.len, 5);
    server_data(s, s->pairs[4].data_id, "world", 5, 0);
    rig_run();
    user_expect(&v, "world", 5);
    user_finish(&v);
    rig_run();
    server_finish_pair(s, 4);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels)); /* it was retired, and this was the last */
}

/* PINGs follow the frames of pairs that had ended when they were sent, not of later ones. */
static void a_probe_proves_only_slots_that_ended_before_it(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);

    s->silent = true;
    use_up(s, &u);
    assert_int_equal(s->ping_count, 5);
    user_open(&v, "uid-1", 80);
    rig_run();
    uint32_t slot = s->pairs[4].data_id % 5;
    server_finish_pair(s, 4);
    user_finish(&v);
    rig_run();
    server_pong_from(s, 0);
    rig_run();
    assert_int_equal(t->mux.slots.state[1], SLOT_FREE);
    assert_int_not_equal(t->mux.slots.state[slot], SLOT_FREE);
    come_and_leave(3);
    assert_int_equal(s->ping_count, 10);
    assert_int_not_equal(t->mux.slots.state[slot], SLOT_FREE);
    server_pong_from(s, 5);
    rig_run();
    assert_int_equal(t->mux.slots.state[slot], SLOT_FREE);
}

/* If there is no room for five PINGs, none is sent, and no slot becomes free. */
static void a_probe_is_sent_only_where_five_pings_fit(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);
    struct tunnel *t = tunnel_of(&u);
    AUTO_FREE uint8_t *zeros = xcalloc(1, TRANSPORT_LIMIT);

    user_finish(&u);
    come_and_leave(2);
    user_open(&u, "uid-1", 80);
    rig_run();
    assert_int_equal(s->ping_count, 0);
    s->end->paused = true;
    size_t room = bufq_room(&t->mux.transport->out) - 30 - SPDY_HEAD; /* and the FIN */
    while (room) { /* whole frames: the payload of a chunk and a frame head each */
        size_t part = room < 10000 ? room : room - 9000 > 9000 ? 9000 : room / 2;
        user_write(&u, zeros, part - SPDY_HEAD);
        rig_run();
        room -= part;
    }
    user_finish(&u);
    rig_run();
    assert_in_range(bufq_room(&t->mux.transport->out), 12, 59);
    assert_int_equal(t->mux.slots.state[1], SLOT_SPENT);
    s->blind = true;
    s->end->paused = false;
    stream_update(s->end);
    rig_run();
    assert_int_equal(s->ping_count, 5);
    assert_int_equal(t->mux.slots.state[1], SLOT_FREE);
}

static void a_probed_slot_serves_again(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    for (size_t i = 0; i < 12; i++) {
        if (i > 0)
            user_open(&u, "uid-1", 80);
        assert_int_equal(u.opening.result, OK);
        rig_run();
        end_cleanly(s, i, &u);
    }
    assert_int_equal(rig.dials, 1);
    assert_in_range(s->ping_count, 10, 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_and_its_first_bytes_leave_in_one_write),
        TEST(on_an_open_tunnel_a_pair_and_its_first_bytes_leave_in_one_write),
        TEST(nothing_is_sent_before_the_101),
        TEST(bytes_go_both_ways),
        TEST(a_pair_ends_cleanly_with_both_fins_and_no_error_text),
        TEST(data_fin_alone_is_a_reset_after_two_seconds),
        TEST(the_error_text_selects_the_verdict),
        TEST(after_the_first_byte_of_an_answer_a_failure_is_a_reset),
        TEST(rst_stream_of_either_stream_is_a_reset),
        TEST(bytes_after_the_verdict_are_dropped),
        TEST(nothing_is_sent_after_the_fin_of_the_pod),
        TEST(shutdown_sends_fin_after_the_last_byte),
        TEST(a_closed_pair_drops_bytes_until_its_verdict),
        TEST(a_pod_that_goes_on_sending_after_a_close_costs_an_own_tunnel),
        TEST(a_close_of_a_full_pair_resumes_reading),
        TEST(no_verdict_after_a_close_costs_the_slot),
        TEST(a_failure_after_a_close_costs_the_slot),
        TEST(a_failed_connection_costs_its_slot_only),
        TEST(at_most_40_pings_wait_in_the_queue_of_a_dead_worker),
        TEST(dead_workers_do_not_make_a_dead_tunnel),
        TEST(a_pair_that_sent_60_frames_without_an_answer_costs_its_tunnel),
        TEST(frames_sent_before_a_close_have_10_s_to_be_read),
        TEST(an_abort_closes_the_tunnel),
        TEST(an_abort_after_a_clean_end_costs_nothing),
        TEST(a_pair_opens_while_closed_pairs_have_no_verdict),
        TEST(a_late_verdict_does_not_concern_the_next_pair_of_its_slot),
        TEST(a_failure_after_its_slot_was_probed_costs_nothing),
        TEST(a_failure_before_its_slot_was_probed_costs_the_slot),
        TEST(an_abort_lets_closed_pairs_deliver_their_last_bytes),
        TEST(at_most_100_closed_pairs_wait_for_a_verdict),
        TEST(five_pings_follow_when_one_slot_is_left),
        TEST(four_of_five_pongs_retire_the_tunnel),
        TEST(a_failed_probe_leaves_a_live_connection_alone),
        TEST(a_probe_proves_only_slots_that_ended_before_it),
        TEST(a_probe_is_sent_only_where_five_pings_fit),
        TEST(a_probed_slot_serves_again),
    };
    return cmocka_run_group_tests_name("tunnel/pair", tests, NULL, NULL);
}
