/* tests/session/upstream_auto_test.c - direct connections, and tunnels if they fail */
#include "upstream_rig.h"

static void fail_direct(enum err e, const char *why)
{
    rig.direct_failure = (struct api_error){ .code = e };
    diag_set(&rig.direct_failure.why, e, "%s", why);
}

/* One request that is not kept; returns whether its connection was direct. */
static bool get_direct(void)
{
    struct borrower a;

    borrower_get(&a);
    rig_run();
    assert_int_equal(a.lease.result, OK);
    for (size_t i = 0; i < rig.dial_count; i++)
        if (a.lease.stream == &rig_conn(i)->stream) {
            bool direct = rig.dials[i].direct;
            borrower_return(&a, RELEASE_CLOSE);
            return direct;
        }
    fail_msg("no such connection");
    return false;
}

static size_t direct_dials(void)
{
    size_t n = 0;

    for (size_t i = 0; i < rig.dial_count; i++)
        n += rig.dials[i].direct;
    return n;
}

static void direct_connection_needs_no_tunnel(void **state)
{
    (void)state;
    rig_service("a");
    assert_true(get_direct());
    assert_int_equal(rig.dial_count, 1);
    assert_string_equal(rig.prewarmed, "");
    assert_string_equal(rig.expected, "");
}

static void direct_connection_is_kept_and_lent_again(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    borrower_get(&a);
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    borrower_get(&a);
    assert_true(a.lease.reused);
    assert_int_equal(rig.dial_count, 1);
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
}

static void request_goes_on_in_a_tunnel_where_no_answer_comes(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    assert_false(get_direct());
    assert_int_equal(rig.dial_count, 2);
    assert_false(get_direct()); /* and the next one does not wait for that again */
    assert_int_equal(direct_dials(), 1);
}

static void answer_that_comes_late_is_waited_for(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    rig.hold_direct = true;
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_refuse(0, ERR_CONNECT, "no answer");
    assert_int_equal(a.lease.result, OK);
    assert_int_equal(rig.dial_count, 2);
    assert_false(rig.dials[1].direct);
    borrower_return(&a, RELEASE_CLOSE);
}

static void wishes_of_the_request_reach_the_tunnel_too(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    borrower_init(&a, "web.shop");
    a.want.alone = true;
    borrower_lease(&a);
    rig_run();
    assert_true(rig.dials[1].alone);
    borrower_return(&a, RELEASE_CLOSE);
}

/* After a minute one direct connection is tried, for which no request waits. */
static void direct_connections_are_tried_again_beside_a_request(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    get_direct();
    rig_advance(59999);
    assert_false(get_direct());
    assert_int_equal(direct_dials(), 1);
    rig_advance(1);
    rig.hold_direct = true;
    assert_false(get_direct());
    assert_false(get_direct());
    assert_int_equal(direct_dials(), 2); /* one of the two */
    for (size_t i = 0; i < rig.dial_count; i++)
        if (rig.dials[i].opening)
            rig_open(i);
    rig.hold_direct = false;
    rig.direct_failure = (struct api_error){ 0 };
    assert_true(get_direct());
}

static void failed_trial_leaves_the_tunnel_for_another_minute(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    get_direct();
    rig_advance(60000);
    get_direct();
    rig_run();
    assert_int_equal(direct_dials(), 2);
    rig_advance(59999);
    get_direct();
    assert_int_equal(direct_dials(), 2);
}

static void trial_under_way_ends_with_the_upstream(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    get_direct();
    rig_advance(60000);
    rig.hold_direct = true;
    get_direct(); /* rig_end asserts that nothing is left */
}

static void address_that_may_not_be_dialled_is_its_pods_alone(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_ACCESS, "not an address of the pod");
    assert_false(get_direct());
    rig.direct_failure = (struct api_error){ 0 };
    rig_service("b");
    assert_true(get_direct());
}

static void pod_that_is_gone_leaves_nothing_behind(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_ACCESS, "not an address of the pod");
    assert_false(get_direct());
    rig_gone("a");
    rig.direct_failure = (struct api_error){ 0 };
    rig.retired[0] = '\0';
    assert_true(get_direct());
}

/* Once one direct connection to a pod is lost, its idle connections are closed, too. */
static void lost_connection_ends_the_others_to_its_pod(void **state)
{
    (void)state;
    struct borrower first, second;

    rig_service("a");
    borrower_get(&first);
    borrower_get(&second);
    borrower_return(&second, RELEASE_KEEP);
    rig_run();
    stream_end(first.lease.stream, V_TRANSPORT_LOST, "no packet was acknowledged");
    borrower_return(&first, RELEASE_ABORT);
    assert_true(rig_conn(1)->closed);
    assert_false(get_direct());
    assert_int_equal(direct_dials(), 2);
}

/* The tunnel knows that the pod does not exist, or that nothing may be opened to it. */
static void failure_of_the_tunnel_is_the_requests(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    fail_direct(ERR_CONNECT, "no answer");
    rig.refusal = (struct api_error){ .code = ERR_FORBIDDEN, .status = 403 };
    diag_set(&rig.refusal.why, ERR_FORBIDDEN, "pods/portforward is forbidden");
    borrower_get(&a);
    rig_run();
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_resource, "pods/portforward");
    borrower_return(&a, RELEASE_ABORT);
}

static void shortage_of_descriptors_is_not_the_pods_fault(void **state)
{
    (void)state;
    rig_service("a");
    fail_direct(ERR_NO_FILES, "no descriptor");
    assert_false(get_direct());
    rig.direct_failure = (struct api_error){ 0 };
    assert_true(get_direct());
}

/* An idle connection is closed when a request to another pod needs its descriptor. */
static void kept_connection_gives_way_for_its_descriptor(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    borrower_get(&a);
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    rig_service("b");
    fail_direct(ERR_NO_FILES, "no descriptor");
    rig.one_descriptor = true;
    assert_true(get_direct());
    assert_true(rig_conn(0)->closed);
}

static void least_recently_used_connection_gives_way(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    borrower_get(&a);
    rig_service("b");
    borrower_get(&b);
    rig_run();
    borrower_return(&b, RELEASE_KEEP);
    rig_advance(10);
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    assert_true(upstream_free_descriptor(rig.upstream));
    assert_true(rig_conn(1)->closed);
    assert_false(rig_conn(0)->closed);
    assert_true(upstream_free_descriptor(rig.upstream));
    assert_false(upstream_free_descriptor(rig.upstream));
}

/* ---- without tunnels ---- */

static void pod_that_may_not_be_connected_to_is_left_for_another(void **state)
{
    (void)state;
    fail_direct(ERR_ACCESS, "uses its node's network");
    rig.only_refuses = "a";
    for (int i = 0; i < 4; i++)
        assert_true(get_direct());
}

static void service_whose_pods_may_not_be_connected_to_fails_at_once(void **state)
{
    (void)state;
    struct borrower a;

    fail_direct(ERR_ACCESS, "uses its node's network");
    borrower_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now + 60000;
    borrower_lease(&a);
    rig_run();
    assert_int_equal(a.lease.result, ERR_ACCESS);
    assert_true(a.lease.direct);
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&a, RELEASE_ABORT);
}

static void pod_that_does_not_exist_is_left_for_another(void **state)
{
    (void)state;
    fail_direct(ERR_NOT_FOUND, "pod a has been replaced");
    rig.direct_failure.is_status = true;
    rig.only_refuses = "a";
    for (int i = 0; i < 2; i++)
        assert_true(get_direct());
    assert_string_equal(rig.missing, "a");
}

static void right_that_is_missing_is_to_read_pods(void **state)
{
    (void)state;
    struct borrower a;

    fail_direct(ERR_FORBIDDEN, "pods is forbidden");
    borrower_get(&a);
    rig_run();
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_verb, "get");
    assert_string_equal(a.lease.missing_resource, "pods");
    borrower_return(&a, RELEASE_ABORT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin_auto, rig_end)
#define TEST_DIRECT(name) cmocka_unit_test_setup_teardown(name, rig_begin_direct, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(direct_connection_needs_no_tunnel),
        TEST(direct_connection_is_kept_and_lent_again),
        TEST(request_goes_on_in_a_tunnel_where_no_answer_comes),
        TEST(answer_that_comes_late_is_waited_for),
        TEST(wishes_of_the_request_reach_the_tunnel_too),
        TEST(direct_connections_are_tried_again_beside_a_request),
        TEST(failed_trial_leaves_the_tunnel_for_another_minute),
        TEST(trial_under_way_ends_with_the_upstream),
        TEST(address_that_may_not_be_dialled_is_its_pods_alone),
        TEST(pod_that_is_gone_leaves_nothing_behind),
        TEST(lost_connection_ends_the_others_to_its_pod),
        TEST(failure_of_the_tunnel_is_the_requests),
        TEST(shortage_of_descriptors_is_not_the_pods_fault),
        TEST(kept_connection_gives_way_for_its_descriptor),
        TEST_DIRECT(kept_connection_gives_way_for_its_descriptor),
        TEST(least_recently_used_connection_gives_way),
        TEST_DIRECT(pod_that_may_not_be_connected_to_is_left_for_another),
        TEST_DIRECT(service_whose_pods_may_not_be_connected_to_fails_at_once),
        TEST_DIRECT(pod_that_does_not_exist_is_left_for_another),
        TEST_DIRECT(right_that_is_missing_is_to_read_pods),
    };
    return cmocka_run_group_tests_name("session/upstream_auto", tests, NULL, NULL);
}
