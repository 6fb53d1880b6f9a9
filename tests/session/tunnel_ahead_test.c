/* tests/session/tunnel_ahead_test.c - tunnels that are dialled before a request waits for them */
#include "tunnel_rig.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/own.h"

#define USERS 12

static struct user users[USERS];

static void restart(void)
{
    struct diag why;

    tunnels_destroy(rig.tunnels);
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
}

static int begin(void **state)
{
    rig_begin(state);
    memset(users, 0, sizeof(users));
    rig.settings.dial_ahead = true;
    rig.settings.own_max = rig.settings.own_brief_max = 4;
    rig.settings.tunnels_max = 8;
    rig.settings.dials_max = 8;
    restart();
    rig_advance(1000);
    return 0;
}

static int end(void **state)
{
    users_finish(users, USERS);
    return rig_end(state);
}

static void come(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        user_open(&users[i], "uid-1", 80);
    server_connect_all();
    for (size_t i = first; i < first + count; i++)
        user_stream(&users[i]);
}

static void leave(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        user_finish(&users[i]);
    rig_run();
    for (size_t i = 0; i < rig.dials; i++)
        for (size_t pair = 0; pair < rig.servers[i]->pair_count; pair++)
            if (rig.servers[i]->pairs[pair].client_fin &&
                !rig.servers[i]->pairs[pair].server_fin && !rig.servers[i]->end->in_eof)
                server_finish_pair(rig.servers[i], pair);
    rig_advance(50);
}

static struct endpoint endpoint(const char *uid)
{
    static char ns[] = "shop", pod[] = "web-2";
    return (struct endpoint){
        .refs = 1, .ns = ns, .pod = pod, .uid = (char *)uid, .key = (char *)uid
    };
}

static void refuse_next(int status, const char *head)
{
    struct server *s = server_connect(rig.dials - 1);
    AUTO_FREE char *answer =
        xasprintf("HTTP/1.1 %d X\r\n%sContent-Length: 17\r\n\r\n{\"kind\":\"Status\"}",
                  status, head);
    server_send(s, answer, strlen(answer));
    rig_run();
}

static void one_connection_at_a_time_prewarms_no_tunnel(void **state)
{
    (void)state;

    for (int i = 0; i < 5; i++) {
        come(0, 1);
        leave(0, 1);
    }
    assert_int_equal(rig.dials, 1);
}

static void a_rising_load_finds_a_prewarmed_tunnel(void **state)
{
    (void)state;

    come(0, 1);
    come(1, 1);
    for (size_t i = 2; i < 10; i++) {
        user_open(&users[i], "uid-1", 80);
        assert_int_equal(users[i].opening.result, OK); /* at once */
        assert_false(users[i].opening.dialled);
        server_connect_all();
    }
    assert_int_equal(rig.dials, 6); /* four own tunnels, two shared ones */
}

static void a_second_burst_dials_no_tunnel(void **state)
{
    (void)state;

    come(0, 7);
    leave(0, 7);
    size_t dials = rig.dials;
    rig_advance(5000);
    for (size_t i = 0; i < 7; i++) {
        user_open(&users[i], "uid-1", 80);
        assert_int_equal(users[i].opening.result, OK);
    }
    server_connect_all();
    assert_int_equal(rig.dials, dials);
}

static void a_steady_load_prewarms_no_further_tunnel(void **state)
{
    (void)state;

    come(0, 3);
    size_t dials = rig.dials;
    assert_int_equal(dials, 4);
    for (int i = 0; i < 20; i++) {
        leave(0, 3);
        rig_advance(7000);
        come(0, 3);
    }
    assert_int_equal(connector_demand(tunnels_connector(rig.tunnels), "uid-1").peak, 3);
    assert_in_range(rig.dials, dials, dials + 1); /* the prewarmed tunnel expired, once */
}

/* Two minutes after the last connection all tunnels have expired, and none is dialled
 * again. */
static void prewarmed_tunnels_close_after_the_idle_time(void **state)
{
    (void)state;

    come(0, 6);
    leave(0, 6);
    size_t dials = rig.dials;
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(rig.settings.idle_ms + rig.settings.check_ms);
    assert_true(tunnels_idle(rig.tunnels));
    rig_advance(10 * 60 * 1000);
    assert_int_equal(rig.dials, dials);
}

/* The age of a prewarmed tunnel counts from when it was needed, not from when it
 * opened. */
static void a_late_prewarmed_tunnel_expires_with_the_others(void **state)
{
    (void)state;

    come(0, 3);
    leave(0, 3);
    rig_advance(rig.settings.idle_ms / 2);
    server_end(rig.servers[0]);
    server_connect_all();
    assert_int_equal(rig.dials, 5);
    rig_advance(rig.settings.idle_ms / 2 + rig.settings.check_ms);
    assert_true(tunnels_idle(rig.tunnels));
}

static void a_lost_tunnel_is_dialled_again(void **state)
{
    (void)state;

    come(0, 3);
    rig_advance(1000);
    server_end(rig.servers[0]);
    rig_run();
    assert_int_equal(rig.dials, 5);
    server_connect_all();
    struct user *lost = &users[0];
    for (size_t i = 0; i < 3; i++)
        if (user_stream(&users[i])->end.verdict == V_TRANSPORT_LOST)
            lost = &users[i];
    user_finish(lost);
    user_open(lost, "uid-1", 80);
    assert_int_equal(lost->opening.result, OK);
}

/* The pod may be gone although its endpoint has not changed yet. */
static void of_tunnels_lost_together_one_is_dialled_first(void **state)
{
    (void)state;
    come(0, 4);
    leave(0, 4);
    size_t before = rig.dials;
    rig_advance(2000);
    for (size_t i = 0; i < before; i++)
        server_end(rig.servers[i]);
    rig_run();
    assert_int_equal(rig.dials, before + 1);
    server_switch(server_connect(before));
    rig_run();
    assert_true(rig.dials >= before + 3); /* the prewarmed tunnel is open */
}

/* A gateway that accepts connections and drops them is not dialled at that rate. */
static void a_tunnel_lost_at_once_is_dialled_again_after_a_pause(void **state)
{
    (void)state;

    come(0, 3);
    server_end(rig.servers[3]); /* the prewarmed tunnel */
    rig_run();
    assert_int_equal(rig.dials, 4);
    rig_advance(1000);
    leave(0, 1);
    come(0, 1);
    assert_int_equal(rig.dials, 5);
}

/* Its client vanished, which is no reason to expect another connection. */
static void an_aborted_tunnel_is_not_dialled_again(void **state)
{
    (void)state;

    come(0, 3);
    for (size_t i = 0; i < 3; i++) {
        stream_abort(TAKE(users[i].opening.stream));
        user_finish(&users[i]);
    }
    rig_advance(10000);
    assert_int_equal(rig.dials, 4);
    come(0, 1); /* on the prewarmed tunnel */
    assert_false(users[0].opening.dialled);
}

static void a_retiring_tunnel_is_replaced_before_it_closes(void **state)
{
    (void)state;
    rig.settings.pairs_max = 3;
    restart();

    for (int i = 0; i < 9; i++) {
        come(0, 1);
        assert_int_equal(users[0].opening.dialled, i == 0);
        leave(0, 1);
        server_connect_all();
    }
    assert_int_equal(rig.dials, 4);
}

static void a_pod_that_refuses_gets_no_prewarmed_tunnels(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *head;
    } refusals[] = {
        { 401, "" }, { 403, "" }, { 404, "" }, { 429, "Retry-After: 1\r\n" }
    };

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct endpoint e = endpoint("uid-2");
        struct demand of = { .peak = 3, .wanted = 3, .since = rig.sched->now };
        rig.settings.dials_max = 1;
        connector_expect(tunnels_connector(rig.tunnels), &e, 3, &of);
        size_t dials = rig.dials;
        refuse_next(refusals[i].status, refusals[i].head);
        rig_advance(120000);
        assert_int_equal(rig.dials, dials);
        assert_true(tunnels_idle(rig.tunnels));
    }
}

/* Also if another tunnel to the pod serves the user meanwhile. */
static void a_failure_is_followed_by_a_pause(void **state)
{
    (void)state;

    user_open(&users[0], "uid-1", 80);
    user_open(&users[1], "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 3); /* two, and a prewarmed one */
    server_switch(server_connect(0));
    server_switch(server_connect(1));
    server_refuse(2, ERR_CONNECT, "connection refused");
    rig_advance(900);
    assert_int_equal(rig.dials, 3);
    rig_advance(5000); /* with the next check */
    assert_int_equal(rig.dials, 4);
    server_refuse(3, ERR_CONNECT, "connection refused");
    rig_advance(120000); /* the demand has decayed a minute after the connections */
    size_t dials = rig.dials;
    assert_in_range(dials, 5, 8);
    rig_advance(10 * 60 * 1000);
    assert_int_equal(rig.dials, dials);
}

/* Prewarmed tunnels use at most half of a node's dials; the others are for waiting
 * openings. */
static void waiting_openings_are_dialled_before_prewarmed_tunnels(void **state)
{
    (void)state;
    struct endpoint e = endpoint("uid-2");
    struct demand of = { .peak = 4, .wanted = 4, .since = rig.sched->now };

    rig.settings.dials_max = 4;
    restart();
    connector_expect(tunnels_connector(rig.tunnels), &e, 4, &of);
    rig_run();
    assert_int_equal(rig.dials, 2);
    user_open(&users[0], "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 3);
    server_switch(server_connect(2));
    user_stream(&users[0]);
    server_connect_all();
    server_connect_all();
    assert_int_equal(rig.dials, 5);
    assert_int_equal(connector_demand(tunnels_connector(rig.tunnels), "uid-2").wanted, 4);
}

static struct endpoint claimed_endpoint(char *ns, char *node, char key[static 16],
                                        unsigned n)
{
    snprintf(key, 16, "pod-%u", n);
    return (struct endpoint){ .refs = 1,
                              .ns = ns,
                              .pod = key,
                              .uid = key,
                              .key = key,
                              .node = node,
                              .ready = true };
}

static void on_opening(struct task *task)
{
    (void)task;
}

/* Any author of an EndpointSlice may write any node name into it. */
static void claimed_node_takes_no_dials_from_other_namespaces(void **state)
{
    (void)state;
    struct opening openings[8] = { 0 };
    char keys[ARRAY_LEN(openings)][16], evil[] = "evil", shop[] = "shop",
                                        node[] = "node-1";
    struct task wake;

    task_init(&wake, rig.sched, RANK_WORK, on_opening);
    rig.settings.dials_max = 2;
    restart();
    for (unsigned i = 0; i < ARRAY_LEN(openings); i++) {
        bool hostile = i < 4;
        struct endpoint e = claimed_endpoint(hostile ? evil : shop, node, keys[i], i);
        connector_open(tunnels_connector(rig.tunnels), &e, 80, &openings[i], &wake);
    }
    rig_run();
    assert_int_equal(rig.dials, 4);
    for (unsigned i = 0; i < ARRAY_LEN(openings); i++)
        opening_finish(&openings[i]);
}

static void invented_nodes_get_a_bounded_number_of_dials(void **state)
{
    (void)state;
    struct opening openings[60] = { 0 };
    char keys[ARRAY_LEN(openings)][16], node[16], evil[] = "evil";
    struct task wake;

    task_init(&wake, rig.sched, RANK_WORK, on_opening);
    rig.settings.dials_max = 1;
    restart();
    for (unsigned i = 0; i < ARRAY_LEN(openings); i++) {
        snprintf(node, sizeof(node), "node-%u", i);
        struct endpoint e = claimed_endpoint(evil, node, keys[i], i);
        connector_open(tunnels_connector(rig.tunnels), &e, 80, &openings[i], &wake);
    }
    rig_run();
    assert_in_range(rig.dials, 16, 32); /* of 60; NODE_BUCKETS */
    for (unsigned i = 0; i < ARRAY_LEN(openings); i++)
        opening_finish(&openings[i]);
}

static void an_expected_pod_gets_a_tunnel_for_each_expected_connection(void **state)
{
    (void)state;
    struct endpoint e = endpoint("uid-1");

    come(0, 6);
    leave(0, 6);
    struct demand of = connector_demand(tunnels_connector(rig.tunnels), "uid-1");
    assert_int_equal(of.peak, 6);
    connector_retire(tunnels_connector(rig.tunnels), "uid-1");
    rig_run();
    assert_true(tunnels_idle(rig.tunnels));
    size_t dials = rig.dials;

    e = endpoint("uid-2");
    connector_expect(tunnels_connector(rig.tunnels), &e, of.peak, &of);
    server_connect_all();
    server_connect_all();
    assert_int_equal(rig.dials, dials + 5); /* four, and one for five */
    for (size_t i = 0; i < 6; i++) {
        user_open(&users[i], "uid-2", 80);
        assert_int_equal(users[i].opening.result, OK);
    }
    leave(0, 6);
    rig_advance(rig.settings.idle_ms + rig.settings.check_ms);
    assert_true(tunnels_idle(rig.tunnels));
}

/* Without requests it closes when its predecessor would have closed. */
static void tunnels_to_an_expected_pod_without_requests_close(void **state)
{
    (void)state;
    struct endpoint e = endpoint("uid-2");
    struct demand of = { .peak = 3,
                         .since = rig.sched->now,
                         .last_opening_at = rig.sched->now };

    rig_advance(rig.settings.idle_ms / 2);
    connector_expect(tunnels_connector(rig.tunnels), &e, 3, &of);
    server_connect_all();
    assert_false(tunnels_idle(rig.tunnels));
    rig_advance(rig.settings.idle_ms / 2 + rig.settings.check_ms);
    assert_true(tunnels_idle(rig.tunnels));
    rig_advance(10 * 60 * 1000);
    assert_int_equal(rig.dials, 3);
}

/* When the pod was expected no dial was left; its tunnels are dialled later. */
static void an_expected_pod_waits_for_a_dial(void **state)
{
    (void)state;
    struct endpoint first = endpoint("uid-1"), second = endpoint("uid-2");
    struct demand of = { .peak = 4,
                         .since = rig.sched->now,
                         .last_opening_at = rig.sched->now };

    rig.settings.dials_max = 4;
    restart();
    connector_expect(tunnels_connector(rig.tunnels), &first, 2, &of);
    connector_expect(tunnels_connector(rig.tunnels), &second, 2, &of);
    rig_run();
    assert_int_equal(rig.dials, 2);
    server_connect_all();
    server_connect_all();
    assert_int_equal(rig.dials, 4);
    for (size_t i = 0; i < 2; i++) {
        user_open(&users[i], "uid-2", 80);
        assert_int_equal(users[i].opening.result, OK);
    }
}

/* An old connection counts as much as a new one. */
static void long_lived_connections_count_as_demand(void **state)
{
    (void)state;

    come(0, 5);
    rig_advance(20 * 60 * 1000);
    struct demand d = connector_demand(tunnels_connector(rig.tunnels), "uid-1");
    assert_int_equal(d.peak, 5);
    demand_decay(&d, rig.sched->now);
    assert_int_equal(d.peak, 5);
    assert_int_equal(d.last_opening_at, rig.sched->now);
}

static void on_drained(struct task *t)
{
    (void)t;
}

static void deleted_pods_and_draining_tunnels_get_no_prewarmed_tunnels(void **state)
{
    (void)state;
    struct endpoint e = endpoint("uid-2");
    struct demand of = { .peak = 3, .since = rig.sched->now };
    struct task done;

    come(0, 3);
    size_t dials = rig.dials;
    connector_retire(tunnels_connector(rig.tunnels), "uid-1");
    rig_run();
    assert_int_equal(rig.dials, dials);
    task_init(&done, rig.sched, RANK_WORK, on_drained);
    tunnels_drain(rig.tunnels, &done);
    connector_expect(tunnels_connector(rig.tunnels), &e, 3, &of);
    rig_run();
    assert_int_equal(rig.dials, dials);
    leave(0, 3);
    task_cancel(&done);
}

/* CPU seconds that it takes to open 40 prewarmed tunnels while so many pods lack one. */
static double open_some_of(size_t pods)
{
    struct demand of = { .peak = 1,
                         .since = rig.sched->now,
                         .last_opening_at = rig.sched->now };
    struct timespec from, to;

    for (size_t i = 0; i < pods; i++) {
        AUTO_FREE char *uid = xasprintf("uid-%zu", i);
        struct endpoint e = endpoint(uid);
        connector_expect(tunnels_connector(rig.tunnels), &e, 1, &of);
    }
    rig_run();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (size_t i = 0; i < 40; i++)
        server_switch(server_connect(i));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    end(NULL);
    begin(NULL);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* If it did, prewarming a service would be quadratic in its endpoints. */
static void end_of_a_dial_does_not_walk_all_pods(void **state)
{
    (void)state;
    double least = 1e9;

    for (int i = 0; i < 3; i++) {
        double few = open_some_of(1000), many = open_some_of(32000);
        least = many / few < least ? many / few : least;
    }
    if (least >= 6)
        fail_msg("with 32 times the pods it takes %.0f times as long", least);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_at_a_time_prewarms_no_tunnel),
        TEST(a_rising_load_finds_a_prewarmed_tunnel),
        TEST(a_second_burst_dials_no_tunnel),
        TEST(a_steady_load_prewarms_no_further_tunnel),
        TEST(prewarmed_tunnels_close_after_the_idle_time),
        TEST(a_late_prewarmed_tunnel_expires_with_the_others),
        TEST(a_lost_tunnel_is_dialled_again),
        TEST(of_tunnels_lost_together_one_is_dialled_first),
        TEST(a_tunnel_lost_at_once_is_dialled_again_after_a_pause),
        TEST(an_aborted_tunnel_is_not_dialled_again),
        TEST(a_retiring_tunnel_is_replaced_before_it_closes),
        TEST(a_pod_that_refuses_gets_no_prewarmed_tunnels),
        TEST(a_failure_is_followed_by_a_pause),
        TEST(waiting_openings_are_dialled_before_prewarmed_tunnels),
        TEST(claimed_node_takes_no_dials_from_other_namespaces),
        TEST(invented_nodes_get_a_bounded_number_of_dials),
        TEST(an_expected_pod_gets_a_tunnel_for_each_expected_connection),
        TEST(tunnels_to_an_expected_pod_without_requests_close),
        TEST(an_expected_pod_waits_for_a_dial),
        TEST(long_lived_connections_count_as_demand),
        TEST(deleted_pods_and_draining_tunnels_get_no_prewarmed_tunnels),
        TEST(end_of_a_dial_does_not_walk_all_pods),
    };
    return cmocka_run_group_tests_name("tunnel/ahead", tests, NULL, NULL);
}
