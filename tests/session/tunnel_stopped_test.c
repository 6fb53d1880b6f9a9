/* tests/session/tunnel_stopped_test.c - the process was stopped for a while, then
 * continues */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"

static const uint64_t stops[] = { 17000, 20000, 60000, 3600000 };

static void on_going_on(struct task *task)
{
    (void)task;
    tunnels_check(rig.tunnels, "the process was stopped");
}

static struct task going_on;

static int begin(void **state)
{
    rig_begin(state);
    task_init(&going_on, rig.sched, RANK_WORK, on_going_on);
    rig.sched->wake = &going_on;
    return 0;
}

static int end(void **state)
{
    task_cancel(&going_on);
    rig.sched->wake = NULL;
    return rig_end(state);
}

static void idle_connection_outlives_a_stop(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
        struct user u;
        rig_warm(&u);
        rig_advance(3000); /* a PING will be due */
        rig_stop_process(stops[i]);
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
        rig_advance(30000);
        assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
        user_finish(&u);
    }
}

static void bytes_that_came_during_a_stop_are_read(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    rig_advance(4000);
    server_data(s, s->pairs[0].data_id, "event", 5, 0);
    rig_stop_process(20000);
    user_expect(&u, "event", 5);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    user_finish(&u);
}

static void tunnel_that_died_during_a_stop_is_found_in_seconds(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    s->silent = true;
    rig_stop_process(20000);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(3000);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    user_finish(&u);
}

/* The runtime has sent the verdict, which is not read yet. */
static void verdict_that_came_during_a_stop_counts(void **state)
{
    (void)state;
    struct user u;
    struct server *s = rig_warm(&u);

    server_fin(s, 0, false);
    rig_run(); /* the other half is due within two seconds */
    server_fin(s, 0, true);
    rig_stop_process(20000);
    assert_int_equal(user_stream(&u)->end.verdict, V_CLEAN);
    user_finish(&u);
}

static void dial_under_way_outlives_a_stop(void **state)
{
    (void)state;
    struct user u;

    user_open(&u, "uid-1", 80);
    struct server *s = server_connect(0);
    rig_stop_process(60000);
    assert_int_equal(u.opening.result, ERR_AGAIN);
    server_switch(s);
    user_stream(&u);
    user_finish(&u);
}

static void idle_time_does_not_count_a_stop(void **state)
{
    (void)state;
    struct user u;

    rig_warm(&u);
    stream_lend(user_stream(&u), false);
    rig_stop_process(2 * rig.settings.idle_ms);
    assert_int_equal(user_stream(&u)->end.verdict, V_OPEN);
    rig_advance(rig.settings.idle_ms + rig.settings.check_ms);
    assert_int_equal(user_stream(&u)->end.verdict, V_TRANSPORT_LOST);
    user_finish(&u);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(idle_connection_outlives_a_stop),
        CASE(bytes_that_came_during_a_stop_are_read),
        CASE(tunnel_that_died_during_a_stop_is_found_in_seconds),
        CASE(verdict_that_came_during_a_stop_counts),
        CASE(dial_under_way_outlives_a_stop),
        CASE(idle_time_does_not_count_a_stop),
    };
    return cmocka_run_group_tests_name("tunnel/stopped", tests, NULL, NULL);
}
