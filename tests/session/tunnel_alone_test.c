/* tests/session/tunnel_alone_test.c - which connection gets a tunnel to itself in a burst */
#include "tunnel_rig.h"

#include <string.h>

#include "tunnel/pod_tunnels.h"

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
    rig.settings.own_max = 4;
    rig.settings.own_brief_max = 1;
    rig.settings.tunnels_max = 12;
    rig.settings.dials_max = 12;
    restart();
    return 0;
}

static int end(void **state)
{
    users_finish(users, USERS);
    return rig_end(state);
}

static void request(size_t i)
{
    user_open(&users[i], "uid-1", 80);
}

static void raw(size_t i)
{
    user_open_alone(&users[i], "uid-1", 80);
}

static bool is_shared(size_t i)
{
    return rig_tunnel_of(user_stream(&users[i]))->mux.share;
}

static void raw_connection_in_a_burst_of_requests_gets_its_own_tunnel(void **state)
{
    (void)state;

    for (size_t place = 0; place < 5; place++) {
        for (size_t i = 0; i < 5; i++)
            (i == place ? raw : request)(i);
        server_connect_all();
        for (size_t i = 0; i < 5; i++)
            user_stream(&users[i]);
        if (is_shared(place))
            fail_msg("the raw connection that came as number %zu shares a tunnel", place);
        end(state);
        begin(state);
    }
}

/* Its dial is under way when a shared tunnel gets room. */
static void raw_connection_waits_for_its_own_dial(void **state)
{
    (void)state;

    rig.settings.own_max = 2;
    restart();
    request(0);
    request(1);
    server_connect_all();
    assert_int_equal(rig.dials, 2);
    assert_true(is_shared(1));
    raw(2);
    rig_run();
    assert_int_equal(rig.dials, 3);
    request(3); /* joins the own tunnel, which becomes a shared one */
    rig_advance(10);
    user_stream(&users[3]);
    assert_int_equal(users[2].opening.result, ERR_AGAIN);
    server_connect_all();
    assert_false(is_shared(2));
}

/* The older requests wait for the shared tunnel, which is being dialled too. */
static void requests_leave_the_own_tunnel_to_the_raw_connection(void **state)
{
    (void)state;

    rig.settings.own_max = 1;
    restart();
    request(0);
    request(1);
    raw(2);
    rig_run();
    assert_int_equal(rig.dials, 2);
    server_switch(server_connect(0));
    rig_run();
    assert_int_equal(users[0].opening.result, ERR_AGAIN);
    assert_false(is_shared(2));
    server_switch(server_connect(1));
    rig_run();
    assert_true(is_shared(0) && is_shared(1));
}

/* Beyond own_max it is better to share than to have no connection. */
static void raw_connections_beyond_own_max_share(void **state)
{
    (void)state;

    for (size_t i = 0; i < 6; i++)
        raw(i);
    server_connect_all();
    for (size_t i = 0; i < 6; i++)
        user_stream(&users[i]);
    assert_int_equal(rig.dials, 5);
}

static void raw_connection_makes_an_empty_shared_tunnel_its_own(void **state)
{
    (void)state;

    request(0);
    request(1);
    server_connect_all();
    assert_true(is_shared(1));
    user_finish(&users[1]);
    rig_run();
    server_finish_pair(rig.servers[1], 0);
    rig_advance(2000);
    raw(1);
    assert_int_equal(users[1].opening.result, OK); /* at once */
    assert_false(is_shared(1));
    request(2);
    request(3);
    server_connect_all();
    assert_int_equal(rig.dials, 3);
    assert_int_equal(rig.servers[1]->pair_count, 2); /* no other pair joined it */
    user_stream(&users[2]);
    user_stream(&users[3]);
}

/* The last opening. */
static void tunnels_prewarmed_for_raw_connections_carry_one_each(void **state)
{
    (void)state;

    rig.settings.dial_ahead = true;
    restart();
    raw(0);
    raw(1);
    server_connect_all();
    server_connect_all();
    request(2);
    server_connect_all();
    server_connect_all();
    raw(3);
    assert_int_equal(users[3].opening.result, OK); /* prewarmed */
    server_connect_all();
    assert_false(is_shared(3));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(raw_connection_in_a_burst_of_requests_gets_its_own_tunnel),
        CASE(raw_connection_waits_for_its_own_dial),
        CASE(requests_leave_the_own_tunnel_to_the_raw_connection),
        CASE(raw_connections_beyond_own_max_share),
        CASE(raw_connection_makes_an_empty_shared_tunnel_its_own),
        CASE(tunnels_prewarmed_for_raw_connections_carry_one_each),
    };
    return cmocka_run_group_tests_name("tunnel/alone", tests, NULL, NULL);
}
