/* tests/session/tunnel_life_test.c - which tunnel serves which opening, and how long tunnels live */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"
#include "tunnel/tunnel.h"

static struct tunnel *tunnel_of(struct user *u)
{
    return rig_tunnel_of(user_stream(u));
}

static void every_live_connection_has_a_tunnel_to_itself(void **state)
{
    (void)state;
    struct user u, v;

    rig_warm(&u);
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    server_switch(server_connect(1));
    assert_true(v.opening.dialled);
    assert_true(tunnel_of(&u) != tunnel_of(&v));
    user_finish(&u);
    user_finish(&v);
}

static void an_opening_of_port_0_waits_for_a_tunnel_and_leaves_it_unused(void **state)
{
    (void)state;
    struct user u, v;

    user_open_alone(&u, "uid-1", 0);
    assert_int_equal(u.opening.result, ERR_AGAIN);
    struct server *s = server_connect(0);
    server_switch(s);
    assert_int_equal(u.opening.result, OK);
    assert_int_equal(u.wakes, 1);
    assert_null(u.opening.stream);
    assert_int_equal(s->pair_count, 0);
    user_open_alone(&v, "uid-1", 80);
    rig_run();
    assert_non_null(user_stream(&v));
    assert_int_equal(rig.dials, 1);
    assert_int_equal(s->pair_count, 1);
    user_finish(&u);
    user_finish(&v);
}

static void a_pod_with_another_uid_is_another_pod(void **state)
{
    (void)state;
    struct user u, v;

    rig_warm(&u);
    user_finish(&u);
    rig_run();
    user_open(&v, "uid-2", 80);
    assert_int_equal(v.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    user_finish(&v);
}

/* The tunnel that was used last is used next, so that the others can expire. */
static void the_tunnel_used_last_serves_first(void **state)
{
    (void)state;
    struct user u, v, w;

    rig_warm(&u);
    rig_warm(&v);
    struct tunnel *first = tunnel_of(&u);
    user_finish(&v);
    rig_advance(10);
    user_finish(&u);
    rig_advance(10);
    user_open(&w, "uid-1", 80);
    struct tunnel *chosen = tunnel_of(&w);
    user_finish(&w);
    rig_run();
    user_open(&w, "uid-1", 80);
    assert_ptr_equal(tunnel_of(&w), chosen);
    (void)first;
    user_finish(&w);
}

static void dials_and_tunnels_have_their_limits(void **state)
{
    (void)state;
    struct user users[6];

    for (size_t i = 0; i < 6; i++)
        user_open(&users[i], "uid-1", 80);
    assert_int_equal(rig.dials, 2); /* dials_max */
    server_switch(server_connect(0));
    assert_int_equal(users[0].opening.result, OK); /* the oldest */
    assert_int_equal(rig.dials, 3);
    server_switch(server_connect(1));
    server_switch(server_connect(2));
    server_switch(server_connect(3));
    rig_run();
    assert_int_equal(rig.dials, 4); /* tunnels_max */
    assert_int_equal(users[3].opening.result, OK);
    assert_int_equal(users[4].opening.result, ERR_AGAIN);
    user_finish(&users[1]);
    rig_run();
    assert_int_equal(users[4].opening.result, OK);
    assert_int_equal(users[5].opening.result, ERR_AGAIN);
    stream_lend(users[0].opening.stream, false); /* into a pool: it may come back */
    rig_run();
    assert_int_equal(users[5].opening.result, ERR_AGAIN);
    user_finish(&users[0]);
    rig_run();
    assert_int_equal(users[5].opening.result, OK);
    assert_int_equal(rig.dials, 4);
    for (size_t i = 0; i < 6; i++)
        user_finish(&users[i]);
}

static void a_failed_dial_fails_only_openings_that_no_other_dial_serves(void **state)
{
    (void)state;
    struct user u, v, w;

    user_open(&u, "uid-1", 80);
    user_open(&v, "uid-1", 80);
    user_open(&w, "uid-1", 80);
    server_refuse(0, ERR_CONNECT, "refused");
    assert_int_equal(u.opening.result, ERR_CONNECT);
    int failed = (v.opening.result == ERR_CONNECT) + (w.opening.result == ERR_CONNECT);
    assert_int_equal(failed, 1); /* one dial is left, for one opening */
    server_switch(server_connect(1));
    assert_true(v.opening.result == OK || w.opening.result == OK);
    user_finish(&u);
    user_finish(&v);
    user_finish(&w);
}

static void refuse_upgrade(struct server *s, const char *status, const char *body)
{
    AUTO_FREE char *answer = xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                                       status, strlen(body), body);
    server_send(s, answer, strlen(answer));
    rig_run();
}

static void a_refusal_that_concerns_the_pod_fails_all_its_openings(void **state)
{
    (void)state;
    struct user u, v;

    user_open(&u, "uid-1", 80);
    user_open(&v, "uid-1", 80);
    refuse_upgrade(server_connect(0), "404 Not Found",
                   "{\"kind\":\"Status\",\"message\":\"pods \\\"web-1\\\" not found\"}");
    assert_int_equal(u.opening.result, ERR_NOT_FOUND);
    assert_int_equal(v.opening.result, ERR_NOT_FOUND);
    assert_true(u.opening.error.is_status);
    assert_int_equal(u.opening.error.status, 404);
    user_finish(&u);
    user_finish(&v);
}

/* ---- idle ---- */

static void an_idle_tunnel_expires(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    server_finish_pair(s, 0);
    user_finish(&u);
    rig_advance(59000);
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(2000); /* checked every second; PINGs are no use of a tunnel */
    assert_true(tunnels_idle(rig.tunnels));
}

static void write_frames(struct user *u, size_t frames)
{
    for (size_t i = 0; i < frames; i++) {
        user_write(u, "and another thing", 17);
        rig_run();
    }
}

/* Bytes that were sent fill the queue of their worker, behind which our PINGs wait: PINGs do
 * not distinguish a slow pod from a dead one then. */
static void a_ping_behind_much_unread_data_does_not_end_the_tunnel(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u), *dead = rig_warm(&v);

    s->stuck = 1u << (s->pairs[0].data_id % 5); /* the others answer for a while */
    write_frames(&u, 30);
    rig_advance(12000);
    write_frames(&u, 15);
    write_frames(&v, 20);
    s->silent = dead->silent = true;
    rig_advance(16000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    assert_int_equal(user_stream(&v)->end.verdict, V_TRANSPORT_LOST);
    rig_advance(60000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    server_data(s, s->pairs[0].data_id, "thank you", 9, 0);
    rig_run();
    user_expect(&u, "thank you", 9);
    rig_advance(16000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    user_finish(&u);
    user_finish(&v);
}

static void a_lent_connection_keeps_its_tunnel_however_silent(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    rig_advance(3600 * 1000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    user_finish(&u);
}

static void an_idle_connection_does_not_keep_its_tunnel(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    rig_advance(50000);
    stream_lend(user_stream(&u), false);
    rig_advance(59000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(2000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    assert_true(tunnels_idle(rig.tunnels));
    user_finish(&u);
}

/* Its pool keeps it as long as its tunnel may be idle, and then closes it. */
static void expire_in_pool(struct user *users, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stream_lend(user_stream(&users[i]), false);
    rig_advance(rig.settings.idle_ms - 1);
    for (size_t i = 0; i < count; i++)
        user_finish(&users[i]);
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(1 + rig.settings.check_ms);
    assert_true(tunnels_idle(rig.tunnels));
}

static void
idle_time_counts_from_the_last_request_not_from_the_end_of_the_pool(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    rig_advance(500);
    expire_in_pool(&u, 1);
}

static void idle_time_of_a_shared_tunnel_counts_from_the_last_request(void **state)
{
    (void)state;
    struct user users[4];

    tunnels_destroy(rig.tunnels);
    rig.settings.own_max = rig.settings.own_brief_max = 1;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, NULL), OK);
    for (size_t i = 0; i < 4; i++)
        user_open(&users[i], "uid-1", 80);
    server_switch(server_connect(0));
    server_switch(server_connect(1));
    rig_advance(500);
    expire_in_pool(users, 4);
}

static void idle_time_of_a_prewarmed_tunnel_counts_from_the_last_request(void **state)
{
    (void)state;
    struct user users[2];

    tunnels_destroy(rig.tunnels);
    rig.settings.dial_ahead = true;
    rig.settings.dials_max = 4;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, NULL), OK);
    rig_warm(&users[0]);
    rig_warm(&users[1]);
    assert_int_equal(rig.dials, 3);
    rig_advance(500);
    server_switch(server_connect(2)); /* after all openings have ended */
    expire_in_pool(users, 2);
}

static void lending_an_idle_connection_restarts_the_idle_time(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    stream_lend(user_stream(&u), false);
    rig_advance(50000);
    stream_lend(user_stream(&u), true);
    rig_advance(50000);
    stream_lend(user_stream(&u), false);
    rig_advance(50000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    user_finish(&u);
}

static void all_idle_tunnels_of_a_pod_expire_together(void **state)
{
    (void)state;
    struct user users[3];

    for (size_t i = 0; i < 3; i++)
        rig_warm(&users[i]);
    for (size_t i = 0; i < 3; i++) {
        server_finish_pair(rig.servers[i], 0);
        user_finish(&users[i]);
    }
    rig_advance(62000);
    assert_true(tunnels_idle(rig.tunnels));
}

/* ---- retiring ---- */

static void a_tunnel_retires_after_enough_connections(void **state)
{
    (void)state;
    struct user u, v;

    rig_end(NULL);
    rig_begin(NULL);
    tunnels_destroy(rig.tunnels);
    rig.settings.pairs_max = 2;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, NULL), OK);
    struct server *s = rig_warm(&u);
    server_finish_pair(s, 0);
    user_finish(&u);
    rig_run();
    user_open(&u, "uid-1", 80);
    rig_run();
    user_open(&v, "uid-1", 80);
    stream_lend(u.opening.stream, false);
    rig_run();
    assert_int_equal(v.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN); /* the last may finish */
    server_finish_pair(s, 1);
    rig_run();
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
    rig_run();
    assert_true(s->end->in_eof);
    user_finish(&v);
}

static void a_tunnel_retires_at_an_age(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);

    rig_advance(4 * 3600 * 1000 + 5000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    assert_true(tunnel_of(&u)->mux.retired);
    stream_lend(u.opening.stream, false);
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, ERR_AGAIN);
    user_finish(&v);
    user_finish(&u);
    server_finish_pair(s, 0);
    rig_run();
    assert_true(s->end->in_eof);
}

/* If it were lent again and again, the tunnel would exceed its maximum age. */
static void a_connection_on_a_tunnel_past_its_age_is_not_reusable(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    rig_advance(rig.settings.age_ms - 1000);
    assert_true(stream_is_reusable(user_stream(&u)));
    rig_advance(1000 + rig.settings.ping_ms);
    assert_false(stream_is_reusable(user_stream(&u)));
    user_finish(&u);
}

static void after_goaway_pairs_finish_and_none_is_opened(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);

    server_goaway(s);
    rig_run();
    stream_lend(u.opening.stream, false);
    user_open(&v, "uid-1", 80);
    assert_int_equal(v.opening.result, ERR_AGAIN);
    server_data(s, 11, "still here", 10, 0);
    server_finish_pair(s, 0);
    rig_run();
    user_expect(&u, "still here", 10);
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
    rig_run();
    assert_true(s->end->in_eof);
    user_finish(&v);
}

static void goaway_closes_an_idle_tunnel(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    server_finish_pair(s, 0);
    user_finish(&u);
    rig_run();
    server_goaway(s);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
}

static void a_deleted_pod_gets_no_new_connection(void **state)
{
    (void)state;
    struct user u, v;
    struct server *s = rig_warm(&u);
    struct server *idle = rig_warm(&v);

    server_finish_pair(idle, 0);
    user_finish(&v);
    rig_run();
    connector_retire(tunnels_connector(rig.tunnels), "uid-1");
    connector_retire(tunnels_connector(rig.tunnels), "uid-unheard-of");
    rig_run();
    assert_true(idle->end->in_eof); /* the idle one closes at once */
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    server_finish_pair(s, 0);
    user_finish(&u);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
}

/* ---- draining ---- */

/* The runtime keeps tunnels to a deleted sandbox open.  After one failure all of them are
 * replaced; a new dial shows whether there is a new sandbox. */
static void a_deleted_sandbox_is_tried_once(void **state)
{
    (void)state;
    struct user live, idle, failed, next;
    struct server *s = rig_warm(&live), *t = rig_warm(&idle);

    server_finish_pair(t, 0);
    rig_run();
    user_finish(&idle);
    rig_run();
    user_open(&failed, "uid-1", 80);
    rig_run();
    assert_int_equal(t->pair_count, 2);
    server_text(t, 1,
                "error forwarding port 80 to pod 4f1b, uid : failed to find sandbox "
                "\"4f1b\" in store: not found");
    server_fin(t, 1, true);
    rig_run();
    assert_int_equal(user_stream(&failed)->end.verdict, V_TARGET_GONE);
    user_finish(&failed);
    assert_int_equal(user_stream(&live)->end.verdict, V_OPEN);
    server_finish_pair(s, 0);
    rig_run();
    user_finish(&live);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));

    user_open(&next, "uid-1", 80);
    server_switch(server_connect(2));
    user_stream(&next);
    user_finish(&next);
}

static void draining_closes_idle_tunnels_and_waits_for_the_others(void **state)
{
    (void)state;
    struct user u, v, w, done;
    struct server *s = rig_warm(&u);
    struct server *idle = rig_warm(&v);

    server_finish_pair(idle, 0);
    user_finish(&v);
    rig_run();
    stream_lend(user_stream(&u), true);
    user_open(&w, "uid-2", 80); /* is being dialled */
    done = (struct user){ 0 };
    user_open(&done, "uid-1", 80);
    user_finish(&done);
    task_init(&done.wake, rig.sched, RANK_WORK, w.wake.run);
    tunnels_drain(rig.tunnels, &done.wake);
    rig_run();
    assert_true(idle->end->in_eof);
    assert_int_equal(w.opening.result, ERR_CANCELLED);
    assert_int_equal(done.wakes, 0);
    size_t dials = rig.dials;
    user_finish(&w);
    user_open(&w, "uid-3", 80); /* no new tunnels */
    assert_int_equal(w.opening.result, ERR_CANCELLED);
    assert_int_equal(rig.dials, dials);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    server_finish_pair(s, 0);
    user_finish(&u);
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
    assert_int_equal(done.wakes, 1);
    user_finish(&w);
}

/* As when the daemon stops: connections end, and draining begins in the same turn. */
static void draining_waits_until_the_last_bytes_are_read(void **state)
{
    (void)state;
    struct user u, done;
    struct server *s = rig_warm(&u);

    s->silent = true;
    user_write(&u, "important", 9);
    rig_run();
    user_finish(&u);
    done = (struct user){ 0 };
    task_init(&done.wake, rig.sched, RANK_WORK, u.wake.run);
    tunnels_drain(rig.tunnels, &done.wake);
    rig_run();
    assert_int_equal(s->pairs[0].got.len, 9);
    assert_true(s->pairs[0].client_fin);
    assert_false(tunnels_idle(rig.tunnels));
    server_pong_from(s, 0); /* the probe is complete */
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
    assert_int_equal(done.wakes, 1);
}

/* Opens a connection; did that cause a dial? */
static bool dials(struct user *u, const char *uid)
{
    size_t before = rig.dials;

    user_open(u, uid, 80);
    rig_run();
    if (rig.dials == before) {
        assert_int_not_equal(u->opening.result, ERR_AGAIN);
        assert_int_equal(
            u->wakes, 0); /* a lease that is woken without reason repeats its request */
    }
    return rig.dials > before;
}

static void an_api_server_that_does_not_answer_is_not_dialled_for_a_while(void **state)
{
    (void)state;
    static const uint64_t pauses[] = { 50, 100, 200, 400, 400, 400 };
    struct user u, v;

    assert_true(dials(&u, "uid-1"));
    for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
        server_refuse(i, ERR_CONNECT, "refused");
        assert_int_equal(u.opening.result, ERR_CONNECT);
        user_finish(&u);
        rig_advance(pauses[i] * 3 / 4 - 2);
        assert_false(dials(&v, i % 2 ? "uid-1" : "uid-2"));
        assert_int_equal(v.opening.result, ERR_CONNECT);
        assert_string_equal(v.opening.error.why.text, "refused");
        user_finish(&v);
        rig_advance(pauses[i] / 2 + 2);
        assert_true(dials(&u, "uid-1"));
    }
    server_switch(server_connect(ARRAY_LEN(pauses)));
    user_finish(&u);
    assert_true(dials(&v, "uid-2")); /* the API server is back, for all pods */
    user_finish(&v);
}

static void an_outage_costs_a_few_dials_a_second_however_many_wait(void **state)
{
    (void)state;
    struct user u;

    for (int ms = 0; ms < 10000; ms += 5) {
        if (dials(&u, ms % 2 ? "uid-1" : "uid-2"))
            server_refuse(rig.dials - 1, ERR_CONNECT, "refused");
        user_finish(&u);
        rig_advance(5);
    }
    assert_in_range(rig.dials, 20, 45);
}

/* An error about one pod does not affect others. */
static void a_pod_that_fails_is_backed_off_and_others_are_not(void **state)
{
    (void)state;
    struct user u;

    for (size_t i = 0; i < 2; i++) {
        assert_true(dials(&u, "uid-1"));
        refuse_upgrade(server_connect(rig.dials - 1), "500 Internal Server Error", "");
        assert_int_equal(u.opening.result, ERR_SERVER);
        user_finish(&u);
        rig_advance(i ? 73 : 36);
        assert_false(dials(&u, "uid-1"));
        assert_int_equal(u.opening.result, ERR_SERVER);
        user_finish(&u);
        rig_advance(i ? 53 : 28);
    }
    assert_true(dials(&u, "uid-1"));
    refuse_upgrade(server_connect(rig.dials - 1), "500 Internal Server Error", "");
    user_finish(&u);
    assert_true(dials(&u, "uid-2"));
    user_finish(&u);
}

/* The API server has accepted the request, so the pod's node is what does not answer. */
static void a_node_that_does_not_answer_costs_other_pods_nothing(void **state)
{
    (void)state;
    struct user u;

    assert_true(dials(&u, "uid-1"));
    server_connect(0);
    rig_run();
    rig_advance(rig.settings.dial_ms);
    assert_int_equal(u.opening.result, ERR_TIMEOUT);
    user_finish(&u);
    assert_false(dials(&u, "uid-1"));
    user_finish(&u);
    assert_true(dials(&u, "uid-2"));
    user_finish(&u);
}

static void a_retry_after_is_kept_without_waiting_openings(void **state)
{
    (void)state;
    static const char throttled[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\n"
                                    "Content-Length: 0\r\n\r\n";
    struct user u;

    assert_true(dials(&u, "uid-1"));
    server_send(server_connect(0), throttled, sizeof(throttled) - 1);
    rig_run();
    assert_int_equal(u.opening.result, ERR_THROTTLED);
    user_finish(&u);
    rig_advance(1900);
    assert_false(dials(&u, "uid-1"));
    assert_int_equal(u.opening.result, ERR_THROTTLED);
    user_finish(&u);
    rig_advance(200);
    assert_true(dials(&u, "uid-1"));
    user_finish(&u);
}

static void draining_without_tunnels_is_done_at_once(void **state)
{
    (void)state;
    struct user u, done;

    user_open(&u, "uid-1", 80);
    user_finish(&u);
    server_refuse(0, ERR_CONNECT, "no");
    done = u;
    done.wakes = 0;
    task_init(&done.wake, rig.sched, RANK_WORK, u.wake.run);
    tunnels_drain(rig.tunnels, &done.wake);
    rig_run();
    assert_int_equal(done.wakes, 1);
}

static void destroying_ends_everything_in_any_state(void **state)
{
    (void)state;
    struct user live, idle, dialling, upgrading, waiting;

    rig_warm(&live);
    rig_warm(&idle);
    user_open(&dialling, "uid-1", 80);
    user_open(&upgrading, "uid-2", 80);
    server_connect(3);
    user_open(&waiting, "uid-1", 80);
    user_finish(&idle);
    tunnels_destroy(TAKE(rig.tunnels));
    rig_run();
    assert_int_equal(user_stream(&live)->end.verdict, V_TRANSPORT_LOST);
    assert_int_not_equal(upgrading.opening.result, ERR_AGAIN);
    user_finish(&live);
    user_finish(&dialling);
    user_finish(&upgrading);
    user_finish(&waiting);
}

/* ---- the other transport ---- */

static void with_transport(enum tunnel_transport transport)
{
    tunnels_destroy(rig.tunnels);
    rig.settings.transport = transport;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, NULL), OK);
}

static void a_refused_transport_is_replaced_by_the_other(void **state)
{
    (void)state;
    struct user u;

    with_transport(TUNNEL_TRANSPORT_AUTO);
    user_open(&u, "uid-1", 80);
    struct server *first = server_connect(0);
    assert_non_null(strstr(first->request, "Upgrade: websocket\r\n")); /* a gateway */
    refuse_upgrade(first, "400 Bad Request", "no such upgrade");
    assert_int_equal(u.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    struct server *second = server_connect(1);
    assert_non_null(strstr(second->request, "Upgrade: SPDY/3.1\r\n"));
    server_switch(second);
    assert_int_equal(u.opening.result, OK);
    user_write(&u, "x", 1);
    rig_run();
    assert_int_equal(second->pairs[0].got.len, 1);
    user_finish(&u);
    rig_run();

    user_open(&u, "uid-2", 80); /* and the transport that works is remembered */
    assert_non_null(strstr(server_connect(2)->request, "Upgrade: SPDY/3.1\r\n"));
    user_finish(&u);
}

static void two_refused_transports_fail_the_opening(void **state)
{
    (void)state;
    struct user u;

    with_transport(TUNNEL_TRANSPORT_AUTO);
    user_open(&u, "uid-1", 80);
    refuse_upgrade(server_connect(0), "403 Forbidden",
                   "{\"kind\":\"Status\",\"message\":\"get is not allowed\"}");
    refuse_upgrade(server_connect(1), "403 Forbidden",
                   "{\"kind\":\"Status\",\"message\":\"create is not allowed\"}");
    assert_int_equal(u.opening.result, ERR_FORBIDDEN);
    assert_int_equal(rig.dials, 2);
    assert_true(tunnels_idle(rig.tunnels));
    user_finish(&u);
}

static void a_refusal_that_concerns_the_pod_does_not_try_the_other_transport(void **state)
{
    (void)state;
    struct user u;

    with_transport(TUNNEL_TRANSPORT_AUTO);
    user_open(&u, "uid-1", 80);
    refuse_upgrade(server_connect(0), "404 Not Found", "{\"kind\":\"Status\"}");
    assert_int_equal(u.opening.result, ERR_NOT_FOUND);
    assert_int_equal(rig.dials, 1);
    user_finish(&u);
}

/* After sleep or a change of network. */
static void a_probed_tunnel_has_to_answer_within_3_s(void **state)
{
    (void)state;
    struct user answers, silent;
    struct server *a = rig_warm(&answers);
    struct server *b = rig_warm(&silent);

    b->silent = true;
    tunnels_check(rig.tunnels, "a test");
    rig_run();
    assert_int_equal(user_stream(&silent)->end.verdict, V_OPEN);
    rig_advance(3001);
    assert_int_equal(user_stream(&silent)->end.verdict, V_TRANSPORT_LOST);
    assert_int_equal(user_stream(&answers)->end.verdict, V_OPEN);
    assert_true(a->pong_count > 0);
    user_finish(&answers);
    user_finish(&silent);
}

/* A PING that the busy worker gets first is not answered. */
static void a_probed_tunnel_may_have_a_busy_worker(void **state)
{
    (void)state;
    static const char block[16000];
    struct user u;
    struct server *s = rig_warm(&u);

    s->stuck = 1u << s->pairs[0].data_id % 5;
    user_write(&u, block, sizeof(block));
    for (int i = 0; i < 5; i++) {
        tunnels_check(rig.tunnels, "a test");
        rig_advance(4000);
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    }
    user_finish(&u);
}

static void pods_of_one_node_share_its_dials(void **state)
{
    (void)state;
    static const char *const uids[] = { "uid-1", "uid-2", "uid-3", "uid-4" };
    struct user users[ARRAY_LEN(uids)];

    for (size_t i = 0; i < ARRAY_LEN(uids); i++)
        user_open(&users[i], uids[i], 80);
    rig_run();
    assert_int_equal(rig.dials, 2); /* dials_max */
    server_switch(server_connect(0));
    rig_run();
    assert_int_equal(rig.dials, 3);
    refuse_upgrade(server_connect(1), "500 Internal Server Error", "");
    rig_run();
    assert_int_equal(rig.dials, 4);
    for (size_t i = 0; i < ARRAY_LEN(uids); i++)
        user_finish(&users[i]);
}

/* The endpoint has left its service, and its last connection is silent. */
static void connections_end_once_the_pod_is_deleted(void **state)
{
    (void)state;
    static const char *const others[] = { NULL, "uid-of-the-next" };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct user u;
        rig_warm(&u);
        connector_retire(tunnels_connector(rig.tunnels), "uid-1");
        rig_advance(2500);
        assert_string_equal(rig.pending_path, "/api/v1/namespaces/shop/pods/web-1");
        rig_answer_pod("uid-1"); /* the pod exists while it terminates */
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
        rig_advance(2500);
        rig_answer_pod(others[i]);
        assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
        user_finish(&u);
        rig_run();
    }
}

/* The pod was not ready for a moment, and is still known because of a long connection. */
static void a_retired_pod_that_is_ready_again_gets_connections(void **state)
{
    (void)state;
    struct user stayed, came;

    rig_warm(&stayed);
    connector_retire(tunnels_connector(rig.tunnels), "uid-1");
    rig_advance(2500);
    rig_answer_pod("uid-1");
    user_open(&came, "uid-1", 80);
    server_switch(server_connect(1));
    assert_true(stream_is_reusable(user_stream(&came)));
    rig_advance(10000);
    assert_null(rig.pending);
    assert_int_equal(user_stream(&stayed)->end.verdict, V_OPEN);
    user_finish(&stayed);
    user_finish(&came);
}

/* A pod that serves only as the last choice is terminating. */
static void a_retired_pod_that_is_not_ready_gets_no_connections(void **state)
{
    (void)state;
    static const struct {
        bool ready, terminating;
    } cases[] = { { false, false }, { false, true }, { true, true } };
    char uid[] = "uid-1"; /* known, so that the rest does not matter */
    struct endpoint e = { .refs = 1, .ns = uid, .pod = uid, .uid = uid, .key = uid };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct user u, last = { 0 };
        rig_warm(&u);
        connector_retire(tunnels_connector(rig.tunnels), "uid-1");
        e.ready = cases[i].ready;
        e.terminating = cases[i].terminating;
        connector_open(tunnels_connector(rig.tunnels), &e, 80, &last.opening, NULL);
        server_switch(server_connect(rig.dials - 1));
        assert_false(stream_is_reusable(last.opening.stream));
        rig_advance(2500);
        rig_answer_pod(NULL);
        assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
        opening_finish(&last.opening);
        user_finish(&u);
        rig_run();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(every_live_connection_has_a_tunnel_to_itself),
        TEST(an_opening_of_port_0_waits_for_a_tunnel_and_leaves_it_unused),
        TEST(a_pod_with_another_uid_is_another_pod),
        TEST(the_tunnel_used_last_serves_first),
        TEST(dials_and_tunnels_have_their_limits),
        TEST(a_failed_dial_fails_only_openings_that_no_other_dial_serves),
        TEST(a_refusal_that_concerns_the_pod_fails_all_its_openings),
        TEST(an_idle_tunnel_expires),
        TEST(a_lent_connection_keeps_its_tunnel_however_silent),
        TEST(a_ping_behind_much_unread_data_does_not_end_the_tunnel),
        TEST(an_idle_connection_does_not_keep_its_tunnel),
        TEST(idle_time_counts_from_the_last_request_not_from_the_end_of_the_pool),
        TEST(idle_time_of_a_shared_tunnel_counts_from_the_last_request),
        TEST(idle_time_of_a_prewarmed_tunnel_counts_from_the_last_request),
        TEST(lending_an_idle_connection_restarts_the_idle_time),
        TEST(all_idle_tunnels_of_a_pod_expire_together),
        TEST(a_tunnel_retires_after_enough_connections),
        TEST(a_tunnel_retires_at_an_age),
        TEST(a_connection_on_a_tunnel_past_its_age_is_not_reusable),
        TEST(after_goaway_pairs_finish_and_none_is_opened),
        TEST(goaway_closes_an_idle_tunnel),
        TEST(a_deleted_pod_gets_no_new_connection),
        TEST(a_deleted_sandbox_is_tried_once),
        TEST(draining_closes_idle_tunnels_and_waits_for_the_others),
        TEST(draining_waits_until_the_last_bytes_are_read),
        TEST(an_api_server_that_does_not_answer_is_not_dialled_for_a_while),
        TEST(an_outage_costs_a_few_dials_a_second_however_many_wait),
        TEST(a_pod_that_fails_is_backed_off_and_others_are_not),
        TEST(a_node_that_does_not_answer_costs_other_pods_nothing),
        TEST(a_retry_after_is_kept_without_waiting_openings),
        TEST(draining_without_tunnels_is_done_at_once),
        TEST(destroying_ends_everything_in_any_state),
        TEST(a_refused_transport_is_replaced_by_the_other),
        TEST(two_refused_transports_fail_the_opening),
        TEST(a_refusal_that_concerns_the_pod_does_not_try_the_other_transport),
        TEST(a_probed_tunnel_has_to_answer_within_3_s),
        TEST(a_probed_tunnel_may_have_a_busy_worker),
        TEST(pods_of_one_node_share_its_dials),
        TEST(connections_end_once_the_pod_is_deleted),
        TEST(a_retired_pod_that_is_ready_again_gets_connections),
        TEST(a_retired_pod_that_is_not_ready_gets_no_connections),
    };
    return cmocka_run_group_tests_name("tunnel/life", tests, NULL, NULL);
}
