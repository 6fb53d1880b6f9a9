/* tests/unit/tunnel/backoff_test.c - pauses between dials, and a pod's usage
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tunnel/backoff.h"
#include "tunnel/usage.h"

static struct sched sched;
static struct backoff b;

static int begin(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    sched_run(&sched, 100000);
    b = (struct backoff){ 0 };
    return 0;
}

static int end(void **state)
{
    (void)state;
    sched_finish(&sched);
    return 0;
}

static uint64_t pause_after(const struct api_error *error)
{
    backoff_on_failure(&b, &sched, error);
    return b.not_before - sched.now;
}

static void pause_doubles_up_to_half_a_second(void **state)
{
    (void)state;
    const struct api_error e = { .code = ERR_CONNECT };
    static const uint64_t middle[] = { 50, 100, 200, 400, 400, 400 };

    assert_null(backoff_reason(&b, &sched));
    for (size_t i = 0; i < sizeof(middle) / sizeof(middle[0]); i++) {
        assert_in_range(pause_after(&e), middle[i] * 3 / 4, middle[i] * 5 / 4);
        assert_int_equal(backoff_reason(&b, &sched)->code, ERR_CONNECT);
        sched_run(&sched, b.not_before - 1);
        assert_non_null(backoff_reason(&b, &sched));
        sched_run(&sched, b.not_before);
        assert_null(backoff_reason(&b, &sched));
    }
}

static void failures_within_a_pause_do_not_lengthen_it(void **state)
{
    (void)state;
    const struct api_error first = { .code = ERR_CONNECT }, second = { .code = ERR_TLS };
    uint64_t pause = pause_after(&first);

    assert_int_equal(pause_after(&second), pause);
    assert_int_equal(b.failures, 1);
    assert_int_equal(b.last_error.code, ERR_TLS);
}

/* The dials ran at the same time, so only the first failure counts. */
static void shared_failures_count_once(void **state)
{
    (void)state;
    const struct api_error first = { .code = ERR_CONNECT }, second = { .code = ERR_TLS };

    backoff_on_shared_failure(&b, &sched, &first);
    uint64_t until = b.not_before;
    backoff_on_shared_failure(&b, &sched, &second);
    assert_int_equal(b.not_before, until);
    assert_int_equal(b.last_error.code, ERR_CONNECT);
}

static void success_ends_a_pause_but_not_a_retry_after(void **state)
{
    (void)state;
    const struct api_error plain = { .code = ERR_CONNECT };
    const struct api_error throttled = { .code = ERR_THROTTLED, .retry_after = 7 };

    pause_after(&plain);
    backoff_on_success(&b, &sched);
    assert_null(backoff_reason(&b, &sched));
    assert_int_equal(pause_after(&throttled), 7000);
    pause_after(&plain); /* its reason stays */
    assert_int_equal(b.last_error.code, ERR_THROTTLED);
    backoff_on_success(&b, &sched);
    assert_non_null(backoff_reason(&b, &sched));
    sched_run(&sched, sched.now + 7000);
    assert_null(backoff_reason(&b, &sched));
}

static void retry_after_of_a_day_is_cut_to_30_s(void **state)
{
    (void)state;
    const struct api_error e = { .code = ERR_THROTTLED, .retry_after = 86400 };
    assert_int_equal(pause_after(&e), 30000);
}

static void usage_counts_connections_and_openings(void **state)
{
    (void)state;
    struct usage u;

    usage_init(&u);
    assert_true(usage_is_small(&u));
    usage_on_waiting(&u, true, sched.now);
    usage_on_waiting(&u, false, sched.now);
    assert_int_equal(u.demand.peak, 2);
    assert_int_equal(u.demand.alone, 1);
    usage_on_served(&u, true);
    usage_on_lent(&u, true, sched.now);
    assert_int_equal(u.demand.peak, 2); /* one less waits */
    assert_int_equal(u.waiters + u.lent, 2);
    usage_on_returned(&u, true, false);
    assert_int_equal(u.lent, 0);
    assert_int_equal(u.lent_alone, 0);
}

static void large_exchange_is_remembered_for_256_small_ones(void **state)
{
    (void)state;
    struct usage u;

    usage_init(&u);
    usage_on_large(&u);
    for (int i = 0; i < USAGE_SMALL_RUN; i++) {
        assert_false(usage_is_small(&u));
        usage_on_lent(&u, false, sched.now);
        usage_on_returned(&u, false, true); /* a large one does not count */
        usage_on_lent(&u, false, sched.now);
        usage_on_returned(&u, false, false);
    }
    assert_true(usage_is_small(&u));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pause_doubles_up_to_half_a_second),
        TEST(failures_within_a_pause_do_not_lengthen_it),
        TEST(shared_failures_count_once),
        TEST(success_ends_a_pause_but_not_a_retry_after),
        TEST(retry_after_of_a_day_is_cut_to_30_s),
        TEST(usage_counts_connections_and_openings),
        TEST(large_exchange_is_remembered_for_256_small_ones),
    };
    return cmocka_run_group_tests_name("tunnel/backoff", tests, NULL, NULL);
}
