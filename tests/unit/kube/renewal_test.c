/* tests/unit/kube/renewal_test.c - expiry, refusals and pauses, by simulated clocks */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "kube/renewal.h"

static struct sched sched;
static struct renewal renewal;
static int64_t wall;

static int64_t our_clock(void)
{
    return wall;
}

static int begin(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    sched.now = 1000;
    wall = 1000000;
    renewal_init(&renewal, &sched, xstrdup("plugin"));
    renewal.wall_ms = our_clock;
    return 0;
}

static int end(void **state)
{
    (void)state;
    renewal_finish(&renewal);
    sched_finish(&sched);
    return 0;
}

static void pass(uint64_t ms)
{
    sched_run(&sched, sched.now + ms);
    wall += (int64_t)ms;
}

static void succeed(int64_t expires_at)
{
    struct secret s = { .token = xstrdup("t"), .expires_at = expires_at };

    assert_int_equal(renewal_look(&renewal, false), RENEWAL_DUE);
    renewal_begin(&renewal);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_RUNS);
    assert_int_equal(renewal_look(&renewal, true), RENEWAL_RUNS);
    renewal_succeed(&renewal, &s);
    assert_null(s.token);
}

static void fail_once(void)
{
    struct diag why = { "no" };
    renewal_begin(&renewal);
    renewal_fail(&renewal, &why);
}

/* How long until a renewal may run again. */
static uint64_t pause(bool background)
{
    uint64_t began = sched.now, ms = 0;
    int64_t wall_began = wall;

    while (renewal_look(&renewal, background) == RENEWAL_PAUSED) {
        sched.now += 10;
        ms += 10;
        assert_true(ms < 1000000);
    }
    sched.now = began;
    wall = wall_began;
    return ms;
}

static void secret_is_used_until_it_expires(void **state)
{
    (void)state;
    succeed(wall + 5000);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    pass(4999);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    pass(1);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_DUE);
    assert_int_equal(renewal_look(&renewal, true), RENEWAL_DUE);
    succeed(NEVER_EXPIRES);
    pass(1000000000);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    assert_int_equal(renewal.generation, 2);
}

/* The wall clock may be set; pauses use the monotonic clock. */
static void pauses_double_with_jitter_up_to_their_limits(void **state)
{
    (void)state;
    static const uint64_t request[] = { 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000 };
    static const uint64_t background[] = { 1000,  2000,  4000,  8000,
                                           16000, 32000, 60000, 60000 };

    for (size_t i = 0; i < ARRAY_LEN(request); i++) {
        fail_once();
        wall -= 100000;
        assert_in_range(pause(false), request[i] * 3 / 4, request[i] * 5 / 4 + 10);
        assert_in_range(pause(true), background[i] * 3 / 4, background[i] * 5 / 4 + 10);
        assert_true(pause(false) <= pause(true));
        assert_string_equal(renewal.why.text, "plugin: no");
        sched.now += pause(true);
    }
    succeed(NEVER_EXPIRES);
    renewal_reject(&renewal, renewal.generation);
    assert_int_equal(renewal_look(&renewal, false),
                     RENEWAL_DUE); /* failures are forgotten */
}

static void interactive_runs_have_longer_pauses(void **state)
{
    (void)state;
    renewal.patient = true;
    for (int i = 0; i < 20; i++)
        fail_once();
    assert_in_range(pause(false), 45000, 75010);
    assert_in_range(pause(true), 450000, 750010);
}

static void refused_secret_is_renewed_once_at_once_then_after_pauses(void **state)
{
    (void)state;
    succeed(NEVER_EXPIRES);
    pass(100);
    for (int i = 0; i < 100; i++)
        renewal_reject(&renewal, 1);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_DUE);
    succeed(NEVER_EXPIRES);
    renewal_reject(&renewal, 1); /* a late refusal of the first one */
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    renewal_reject(&renewal, 2);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_PAUSED);
    assert_non_null(strstr(renewal.why.text, "does not accept what it returned (401)"));
    assert_in_range(pause(false), 750, 1260);
    pass(pause(false));
    succeed(NEVER_EXPIRES);
    renewal_reject(&renewal, 3);
    assert_in_range(pause(false), 1500, 2510);
    pass(pause(false));
    succeed(NEVER_EXPIRES);
    pass(60000); /* this one was accepted for a minute */
    renewal_reject(&renewal, 4);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_DUE);
}

/* The local clock or the plugin's cache is wrong; the plugin must not be run for each
 * request. */
static void a_secret_that_was_issued_expired_is_used_for_a_while(void **state)
{
    (void)state;
    succeed(wall - 1);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    pass(29999);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_VALID);
    pass(1);
    assert_int_equal(renewal_look(&renewal, false), RENEWAL_DUE);
}

static unsigned wakes;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static void every_waiting_one_is_woken_once(void **state)
{
    (void)state;
    struct task tasks[50];
    struct credentials_want wants[50] = { { NULL } };
    struct secret s = { .token = xstrdup("t"), .expires_at = NEVER_EXPIRES };

    wakes = 0;
    renewal_begin(&renewal);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        task_init(&tasks[i], &sched, RANK_WORK, on_wake);
        wants[i].wake = &tasks[i];
        renewal_wait(&renewal, &wants[i]);
        renewal_wait(&renewal, &wants[i]);
    }
    credentials_leave(&wants[7]);
    renewal_succeed(&renewal, &s);
    pass(0);
    assert_int_equal(wakes, ARRAY_LEN(tasks) - 1);
    renewal_wake(&renewal);
    pass(0);
    assert_int_equal(wakes, ARRAY_LEN(tasks) - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(secret_is_used_until_it_expires),
        TEST(pauses_double_with_jitter_up_to_their_limits),
        TEST(interactive_runs_have_longer_pauses),
        TEST(refused_secret_is_renewed_once_at_once_then_after_pauses),
        TEST(a_secret_that_was_issued_expired_is_used_for_a_while),
        TEST(every_waiting_one_is_woken_once),
    };
    log_set_level(LEVEL_ERROR);
    return cmocka_run_group_tests_name("kube/renewal", tests, NULL, NULL);
}
