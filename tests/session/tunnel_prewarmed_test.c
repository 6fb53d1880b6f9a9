/* tests/session/tunnel_prewarmed_test.c - the connection that is made before the first request */
#include "tunnel_rig.h"

#include "tunnel/prewarmed_connection.h"

static int begin(void **state)
{
    rig_begin(state);
    tunnels_destroy(rig.tunnels);
    rig.settings.connect_ahead = true;
    struct diag why;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
    return 0;
}

static void the_first_tunnel_takes_the_prewarmed_connection(void **state)
{
    (void)state;
    struct user u;

    rig_run();
    assert_int_equal(rig.dials, 1);
    struct server *s = server_connect(0);
    rig_run();
    user_open(&u, "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 1); /* no second dial */
    server_switch(s);
    rig_run();
    user_stream(&u);
    user_finish(&u);
}

static void the_second_tunnel_is_dialled(void **state)
{
    (void)state;
    struct user a, b;

    rig_run();
    server_connect(0);
    rig_run();
    user_open(&a, "uid-1", 80);
    user_open(&b, "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 2);
    user_finish(&a);
    user_finish(&b);
}

static void a_dead_prewarmed_connection_is_replaced_by_a_dial(void **state)
{
    (void)state;
    struct user u;

    rig_run();
    struct server *s = server_connect(0);
    rig_run();
    user_open(&u, "uid-1", 80);
    rig_run();
    server_break(s); /* after the request had been sent on it */
    rig_run();
    assert_int_equal(u.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    server_switch(server_connect(1));
    rig_run();
    user_stream(&u);
    user_finish(&u);
}

static void an_unused_prewarmed_connection_is_closed(void **state)
{
    (void)state;
    struct user u;

    rig_run();
    struct server *s = server_connect(0);
    rig_advance(PREWARMED_MS);
    assert_true(s->end->in_eof);
    user_open(&u, "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 2);
    user_finish(&u);
}

static void a_prewarmed_connection_that_never_connects_delays_no_tunnel(void **state)
{
    (void)state;
    struct user u;

    rig_run();
    server_refuse(0, ERR_CONNECT, "connection refused");
    rig_run();
    user_open(&u, "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 2);
    user_finish(&u);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(the_first_tunnel_takes_the_prewarmed_connection),
        TEST(the_second_tunnel_is_dialled),
        TEST(a_dead_prewarmed_connection_is_replaced_by_a_dial),
        TEST(an_unused_prewarmed_connection_is_closed),
        TEST(a_prewarmed_connection_that_never_connects_delays_no_tunnel),
    };
    return cmocka_run_group_tests_name("tunnel/prewarmed", tests, NULL, NULL);
}
