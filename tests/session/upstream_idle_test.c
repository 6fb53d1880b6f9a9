/* tests/session/upstream_idle_test.c - which requests take an idle connection */
#include "upstream_rig.h"

/* One request; returns whether it took an idle connection. */
static bool lease_one(struct borrower *a, bool repeatable)
{
    borrower_init(a, "web.shop");
    a->want.repeatable = repeatable;
    borrower_lease(a);
    assert_int_equal(a->lease.result, OK);
    return a->lease.reused;
}

static bool get_kept(void)
{
    struct borrower a;
    bool reused = lease_one(&a, true);

    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    return reused;
}

static bool post_kept(void)
{
    struct borrower a;
    bool reused = lease_one(&a, false);

    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    return reused;
}

static size_t open_connections(void)
{
    size_t n = 0;

    for (size_t i = 0; i < rig.dial_count; i++)
        n += !rig_conn(i)->closed && !rig_conn(i)->aborted;
    return n;
}

static void pod_is_replaced(void)
{
    rig_gone("a");
    rig.retired[0] = '\0'; /* the next pod has the same uid */
}

static void end_idle(size_t dial, enum verdict verdict)
{
    struct stream *s = &rig_conn(dial)->stream;

    stream_end(s, verdict, NULL);
    task_wake(s->wake);
    rig_run();
}

static void
post_takes_a_fresh_connection_until_one_outlived_the_hidden_second(void **state)
{
    (void)state;

    rig_service("a");
    rig.room = "a";
    get_kept();
    for (int i = 0; i < 20; i++) {
        rig_advance(75);
        assert_false(post_kept());
    }
    assert_int_equal(rig.dial_count, 21);
    assert_true(open_connections() <= 3);
    rig_advance(1000); /* the first is now 2.5 s old */
    assert_false(post_kept());
    rig_advance(400);
    assert_true(post_kept());
    assert_true(post_kept());
}

/* Where the only tunnel carries the idle connection, that one makes way. */
static void fresh_connection_takes_the_tunnel_of_an_idle_one(void **state)
{
    (void)state;

    rig_service("a");
    rig.room = NULL;
    get_kept();
    assert_false(post_kept());
    assert_int_equal(open_connections(), 1);
    rig.room = "a";
    assert_false(post_kept());
    assert_int_equal(open_connections(), 2);
}

static void get_takes_any_idle_connection_while_nothing_is_known(void **state)
{
    (void)state;

    rig_service("a");
    rig.room = "a";
    get_kept();
    rig_advance(60000);
    assert_true(get_kept());
}

/* A TCP stream has none of the operations for a pool. */
static void stream_without_pool_operations_is_kept_and_lent_again(void **state)
{
    (void)state;
    struct borrower first, second;

    rig_service("a");
    rig.plain = true;
    assert_false(get_kept());
    assert_true(lease_one(&second, true));
    assert_false(lease_one(&first, true));
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&first, RELEASE_KEEP);
    borrower_return(&second, RELEASE_KEEP);
    rig_run();
    assert_true(get_kept());
    assert_int_equal(rig.dial_count, 2);
}

/* The first end shows that the pod closes connections at once; at most two are kept for
 * such a pod. */
static void no_request_takes_a_connection_of_a_pod_that_closes_at_once(void **state)
{
    (void)state;

    rig_service("a");
    rig.room = "a";
    get_kept();
    rig_advance(1000);
    end_idle(0, V_CLEAN);
    for (int i = 0; i < 10; i++) {
        rig_advance(1);
        assert_false(i % 2 ? get_kept() : post_kept());
        assert_true(open_connections() <= 2);
    }
}

static void requests_stay_below_a_time_out_that_was_seen(void **state)
{
    (void)state;
    static const struct {
        uint64_t idle;
        bool get, post;
    } cases[] = {
        { 0, true, true },     { 749, true, true },    { 750, true, false },
        { 1899, true, false }, { 1900, false, false }, { 2300, false, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int post = 0; post < 2; post++) {
            rig_service("a");
            rig.room = "a";
            get_kept();
            rig_advance(3000); /* the pod closed after 2 s */
            end_idle(rig.dial_count - 1, V_CLEAN);
            get_kept();
            rig_advance(cases[i].idle);
            assert_int_equal(post ? post_kept() : get_kept(),
                             post ? cases[i].post : cases[i].get);
            pod_is_replaced();
        }
}

static void request_that_an_idle_connection_failed_teaches_its_time_out(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    rig.room = "a";
    get_kept();
    rig_advance(2300);
    assert_true(lease_one(&a, true));
    rig_advance(700);
    stream_end(a.lease.stream, V_CLEAN, NULL);
    a.lease.unanswered = true;
    borrower_return(&a, RELEASE_ABORT);
    assert_false(get_kept());
    rig_advance(1899);
    assert_true(get_kept());
    rig_advance(1900);
    assert_false(get_kept());
}

/* A request that was answered before the connection ended does not change it either. */
static void an_end_that_is_not_of_the_pod_does_not_change_its_time_out(void **state)
{
    (void)state;
    static const enum verdict verdicts[] = { V_TRANSPORT_LOST, V_TARGET_GONE };
    struct borrower a;

    rig_service("a");
    rig.room = "a";
    for (size_t i = 0; i < 2; i++) {
        get_kept();
        rig_advance(1000);
        end_idle(rig.dial_count - 1, verdicts[i]);
        get_kept();
        assert_true(lease_one(&a, true));
        stream_end(a.lease.stream, verdicts[i], NULL);
        a.lease.unanswered = true;
        borrower_return(&a, RELEASE_ABORT);
    }
    get_kept();
    assert_true(lease_one(&a, true));
    stream_end(a.lease.stream, V_CLEAN, NULL);
    borrower_return(&a, RELEASE_CLOSE);
    get_kept();
    rig_advance(1000);
    assert_true(get_kept());
}

static void pod_that_is_gone_is_forgotten(void **state)
{
    (void)state;

    rig_service("a");
    rig.room = "a";
    get_kept();
    rig_advance(1000);
    end_idle(0, V_CLEAN);
    get_kept();
    assert_false(get_kept());
    upstream_trim(rig.upstream);
    assert_false(get_kept());
    pod_is_replaced();
    get_kept();
    assert_true(get_kept());
}

/* A pod may close connections at once, so a returned one is passed on only if the pod is
 * known to keep them. */
static void post_that_waits_gets_no_unproven_connection(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    rig.room = "a";
    lease_one(&a, true);
    rig.hold_openings = true;
    borrower_init(&b, "web.shop");
    b.want.repeatable = false;
    borrower_lease(&b);
    borrower_return(&a, RELEASE_KEEP);
    rig_advance(0);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    rig_open(1);
    rig_advance(0);
    assert_int_equal(b.lease.result, OK);
    assert_false(b.lease.reused);
    borrower_return(&b, RELEASE_CLOSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(post_takes_a_fresh_connection_until_one_outlived_the_hidden_second),
        TEST(fresh_connection_takes_the_tunnel_of_an_idle_one),
        TEST(get_takes_any_idle_connection_while_nothing_is_known),
        TEST(no_request_takes_a_connection_of_a_pod_that_closes_at_once),
        TEST(requests_stay_below_a_time_out_that_was_seen),
        TEST(request_that_an_idle_connection_failed_teaches_its_time_out),
        TEST(an_end_that_is_not_of_the_pod_does_not_change_its_time_out),
        TEST(pod_that_is_gone_is_forgotten),
        TEST(post_that_waits_gets_no_unproven_connection),
        TEST(stream_without_pool_operations_is_kept_and_lent_again),
    };
    return cmocka_run_group_tests_name("session/upstream_idle", tests, NULL, NULL);
}
