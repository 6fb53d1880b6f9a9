/* tests/session/tunnel_small_test.c - small requests use any open tunnel */
#include "tunnel_rig.h"

#include <string.h>

#include "tunnel/coalesce.h"
#include "tunnel/pod_tunnels.h"
#include "tunnel/share.h"

#define USERS 16
#define A "uid-1"

static struct user users[USERS];

static int begin(void **state)
{
    struct diag why;

    rig_begin(state);
    memset(users, 0, sizeof(users));
    tunnels_destroy(rig.tunnels);
    rig.settings.own_max = 4;
    rig.settings.own_brief_max = 1;
    rig.settings.coalesce = true;
    rig.settings.tunnels_max = 12;
    rig.settings.dials_max = 12;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
    return 0;
}

static int end(void **state)
{
    users_finish(users, USERS);
    return rig_end(state);
}

static void use_settings_again(void)
{
    struct diag why;

    tunnels_destroy(rig.tunnels);
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
}

static struct pair *pair_of(size_t i)
{
    return container_of(user_stream(&users[i]), struct pair, stream);
}

static struct tunnel *tunnel_of(size_t i)
{
    return rig_tunnel_of(user_stream(&users[i]));
}

static void connect_dial(size_t dial)
{
    server_switch(server_connect(dial));
    rig_run();
}

/* The server sends n bytes to user i, which reads them. */
static void answer(size_t i, size_t n)
{
    static char bytes[16384];
    struct server *s = rig.servers[tunnel_of(i)->id.number - 1];

    rig_run();
    for (size_t part; n; n -= part) {
        part = n < sizeof(bytes) ? n : sizeof(bytes);
        server_data(s, pair_of(i)->data_id, bytes, part, 0);
        rig_run();
        bufq_clear(&user_stream(&users[i])->in);
        stream_update(user_stream(&users[i]));
    }
    rig_run();
}

/* Port 80 has answered, on the only tunnel. */
static void use_once(void)
{
    user_open_small(&users[0], A, 80);
    connect_dial(0);
    answer(0, 100);
    assert_null(tunnel_of(0)->mux.share);
}

static bool is_served(size_t i)
{
    return users[i].opening.result == OK;
}

static void four_requests_join_the_only_tunnel_without_a_dial(void **state)
{
    (void)state;

    use_once();
    for (size_t i = 1; i < WORKERS; i++) {
        user_open_small(&users[i], A, 80);
        assert_true(is_served(i));
        assert_false(users[i].opening.dialled);
        assert_ptr_equal(tunnel_of(i), tunnel_of(0));
    }
    assert_non_null(tunnel_of(0)->mux.share);
    assert_int_equal(rig.dials, 1);

    user_open_small(&users[WORKERS], A, 80); /* all five worker slots are used */
    assert_false(is_served(WORKERS));
    assert_int_equal(rig.dials, 2);
}

/* PINGs that were sent before do not count towards its credit. */
static void pings_sent_before_a_neighbour_do_not_count_for_credit(void **state)
{
    (void)state;

    use_once();
    rig.servers[0]->silent = true;
    rig_advance(rig.settings.ping_ms + 100); /* one is under way */
    assert_int_equal(tunnel_of(0)->mux.pings.unanswered, 1);
    user_open_small(&users[1], A, 80);
    assert_ptr_equal(tunnel_of(1), tunnel_of(0));
    rig.servers[0]->silent = false;
    server_pong_from(rig.servers[0], 0);
    rig_run();
    for (size_t w = 0; w < WORKERS; w++)
        assert_int_equal(tunnel_of(0)->mux.share->credit.workers[w].pings, 0);
}

static void a_dial_is_not_waited_for_once_a_slot_is_free(void **state)
{
    (void)state;

    use_once();
    for (size_t i = 1; i <= WORKERS; i++)
        user_open_small(&users[i], A, 80);
    assert_false(is_served(WORKERS));
    size_t pair = 1;
    user_finish(&users[1]);
    rig_run();
    server_finish_pair(rig.servers[0], pair);
    rig_advance(50);
    assert_true(is_served(WORKERS));
    assert_non_null(rig.servers[1]->dial); /* is still under way */
}

static void the_first_pair_to_a_port_shares_no_tunnel(void **state)
{
    (void)state;

    user_open_small(&users[0], A, 80);
    connect_dial(0); /* the tunnel is open, and port 80 has not answered yet */
    user_open_small(&users[1], A, 80);
    assert_false(is_served(1));
    assert_int_equal(rig.dials, 2);
    answer(0, 1);
    assert_true(is_served(1)); /* with the first byte of the answer */
    assert_ptr_equal(tunnel_of(1), tunnel_of(0));

    user_open_small(&users[2], A, 81); /* port 81 has not answered yet */
    assert_false(is_served(2));
    connect_dial(1);
    assert_true(is_served(2));
    assert_ptr_not_equal(tunnel_of(2), tunnel_of(0));
    user_open_small(&users[3], A, 80);
    assert_ptr_equal(tunnel_of(3), tunnel_of(0));
}

static void a_port_that_refuses_has_to_be_proven_again(void **state)
{
    (void)state;

    use_once();
    user_open_small(&users[1], A, 80);
    rig_run();
    server_text(rig.servers[0], 1, "error forwarding port 80: connection refused");
    server_fin(rig.servers[0], 1, true);
    rig_run();
    assert_int_equal(user_stream(&users[1])->end.verdict, V_REFUSED);
    user_open_small(&users[2], A, 80);
    assert_false(is_served(2));
}

static void nothing_joins_a_connection_that_wants_to_be_alone(void **state)
{
    (void)state;

    use_once();
    user_finish(&users[0]);
    rig_run();
    server_finish_pair(rig.servers[0], 0);
    rig_run();
    user_open_alone(&users[1], A, 80);
    assert_int_equal(rig.dials, 1);
    user_open_small(&users[2], A, 80);
    assert_false(is_served(2));
    assert_null(tunnel_of(1)->mux.share);
}

static void nothing_joins_an_idle_connection_lent_to_be_alone(void **state)
{
    (void)state;

    use_once();
    stream_lend(user_stream(&users[0]), false);
    stream_set_alone(user_stream(&users[0]), true);
    stream_lend(user_stream(&users[0]), true);
    user_open_small(&users[1], A, 80);
    assert_false(is_served(1));
    assert_null(tunnel_of(0)->mux.share);
}

static void after_a_large_answer_a_request_waits_for_its_own_tunnel(void **state)
{
    (void)state;

    use_once();
    answer(0, PAIR_LARGE_BYTES);
    stream_lend(user_stream(&users[0]), false);
    stream_lend(user_stream(&users[0]), true);
    assert_true(connector_has_large_transfers(tunnels_connector(rig.tunnels), A));
    user_open_small(&users[1], A, 80);
    assert_false(is_served(1));
    assert_null(tunnel_of(0)->mux.share);
}

static void a_fixed_number_of_own_tunnels_is_never_shared(void **state)
{
    (void)state;

    rig.settings.coalesce = false;
    use_settings_again();
    use_once();
    user_open_small(&users[1], A, 80);
    assert_false(is_served(1));
    assert_null(tunnel_of(0)->mux.share);
}

static void a_pod_in_use_has_one_prewarmed_tunnel(void **state)
{
    (void)state;

    rig.settings.dial_ahead = true;
    rig.settings.prewarmed = 1;
    use_settings_again();
    user_open_small(&users[0], A, 80);
    connect_dial(0);
    answer(0, 100);
    assert_int_equal(rig.dials, 1);
    connector_prewarm(tunnels_connector(rig.tunnels), A);
    connector_prewarm(tunnels_connector(rig.tunnels), A);
    assert_int_equal(rig.dials, 2);
    connect_dial(1);
    for (size_t i = 1; i < 2 * WORKERS; i++) {
        user_open_small(&users[i], A, 80);
        assert_true(is_served(i));
    }
}

/* An idle connection to port 81 keeps the only tunnel: before this was fixed, requests to
 * port 80 went to other pods meanwhile. */
static void pod_whose_tunnel_another_port_keeps_gets_one_more(void **state)
{
    (void)state;

    rig.settings.dial_ahead = true;
    rig.settings.prewarmed = 1;
    use_settings_again();
    connector_make_room(tunnels_connector(rig.tunnels),
                        A); /* the pod has no tunnel, so nothing is closed for it */
    assert_int_equal(rig.dials, 0);
    user_open_small(&users[0], A, 81);
    connector_make_room(tunnels_connector(rig.tunnels), A); /* one is on its way */
    assert_int_equal(rig.dials, 1);
    connect_dial(0);
    answer(0, 100);
    stream_lend(user_stream(&users[0]), false);
    assert_false(connector_has_room(tunnels_connector(rig.tunnels), A, 80));
    connector_make_room(tunnels_connector(rig.tunnels), A);
    connector_make_room(tunnels_connector(rig.tunnels), A);
    assert_int_equal(rig.dials, 2);
    connect_dial(1);
    assert_true(connector_has_room(tunnels_connector(rig.tunnels), A, 80));
}

static void an_expired_tunnel_is_not_dialled_again_before_a_request(void **state)
{
    (void)state;

    rig.settings.dial_ahead = true;
    rig.settings.prewarmed = 1;
    use_settings_again();
    user_open_small(&users[0], A, 80);
    connect_dial(0);
    answer(0, 100);
    connector_prewarm(tunnels_connector(rig.tunnels), A);
    connect_dial(1);
    stream_lend(user_stream(&users[0]), false);
    rig_advance(rig.settings.idle_ms + 2 * rig.settings.check_ms);
    assert_int_equal(rig.tunnels->live, 0);
    assert_int_equal(rig.dials, 2);
}

/* It is the only pair on that tunnel: TCP limits it, and credit does not. */
static void an_upload_that_is_alone_on_a_shared_tunnel_needs_no_credit(void **state)
{
    static char block[16384];
    (void)state;

    use_once();
    user_open_small(&users[1], A, 80);
    rig_run();
    struct server *s = rig.servers[0];
    s->silent = true;
    for (int i = 0; i < 64; i++) {
        bufq_write(&user_stream(&users[1])->out, block, sizeof(block));
        stream_update(user_stream(&users[1]));
        rig_run();
    }
    size_t with_a_neighbour = s->pairs[1].got.len;
    assert_in_range(with_a_neighbour, PAIR_LARGE_BYTES, 32 * sizeof(block));

    stream_lend(user_stream(&users[0]), false);
    for (int i = 0; i < 128; i++) {
        bufq_write(&user_stream(&users[1])->out, block, sizeof(block));
        stream_update(user_stream(&users[1]));
        rig_run();
    }
    assert_in_range(s->pairs[1].got.len, with_a_neighbour + 100 * sizeof(block),
                    UINT32_MAX);
    assert_false(stream_is_free(user_stream(&users[0]), false));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(four_requests_join_the_only_tunnel_without_a_dial),
        TEST(pings_sent_before_a_neighbour_do_not_count_for_credit),
        TEST(a_dial_is_not_waited_for_once_a_slot_is_free),
        TEST(the_first_pair_to_a_port_shares_no_tunnel),
        TEST(a_port_that_refuses_has_to_be_proven_again),
        TEST(nothing_joins_a_connection_that_wants_to_be_alone),
        TEST(nothing_joins_an_idle_connection_lent_to_be_alone),
        TEST(after_a_large_answer_a_request_waits_for_its_own_tunnel),
        TEST(a_fixed_number_of_own_tunnels_is_never_shared),
        TEST(a_pod_in_use_has_one_prewarmed_tunnel),
        TEST(pod_whose_tunnel_another_port_keeps_gets_one_more),
        TEST(an_expired_tunnel_is_not_dialled_again_before_a_request),
        TEST(an_upload_that_is_alone_on_a_shared_tunnel_needs_no_credit),
    };
    return cmocka_run_group_tests_name("tunnel/small", tests, NULL, NULL);
}
