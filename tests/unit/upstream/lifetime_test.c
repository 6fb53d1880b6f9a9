/* tests/unit/upstream/lifetime_test.c - learning how long a pod keeps idle connections */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/lifetime.h"

/* The idle time from which on a connection is not trusted. */
static uint64_t trusted_below(const struct lifetime *l, bool repeatable)
{
    uint64_t ms = 0;

    while (ms < 100000 && lifetime_trusts(l, ms, repeatable))
        ms++;
    return ms;
}

static void assert_trusts(const struct lifetime *l, uint64_t repeatable, uint64_t other)
{
    assert_int_equal(trusted_below(l, true), repeatable);
    assert_int_equal(trusted_below(l, false), other);
}

#define ALWAYS 100000

static void without_knowledge_a_post_gets_a_fresh_connection(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    assert_trusts(&l, ALWAYS, 0);
    assert_true(lifetime_is_blank(&l));
}

/* The close of a pod that closes at once shows after a second, or a little later. */
static void
connection_that_outlived_the_hidden_second_proves_half_of_its_time(void **state)
{
    (void)state;
    struct lifetime l = { 0 };
    bool counted = false;

    lifetime_on_alive(&l, 1500, 1500, &counted);
    assert_trusts(&l, ALWAYS, 0);
    lifetime_on_alive(&l, 2500, 2500, &counted);
    assert_trusts(&l, ALWAYS, 500);
    lifetime_on_alive(&l, 2000, 4000, &counted);
    assert_trusts(&l, ALWAYS, 500);
}

static void answer_on_an_idle_connection_proves_half_of_its_time(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    lifetime_on_answer(&l, 0);
    assert_trusts(&l, ALWAYS, 0);
    lifetime_on_answer(&l, 3000);
    lifetime_on_answer(&l, 20);
    assert_trusts(&l, ALWAYS, 1500);
}

static void end_is_the_limit_without_the_hidden_second(void **state)
{
    (void)state;
    static const struct {
        uint64_t seen, repeatable, other;
    } cases[] = {
        { 5, 0, 0 },         /* a runtime that hides nothing, or a machine that is late */
        { 1000, 0, 0 },      /* the pod closes at once */
        { 1050, 0, 0 },      /* after 50 ms */
        { 1500, 400, 0 },    /* after 0.5 s */
        { 3000, 1900, 750 }, /* gunicorn: 2 s */
        { 6000, 4900, 2250 }, /* uvicorn: 5 s */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lifetime l = { 0 };
        lifetime_on_answer(&l, 60000);
        lifetime_on_end(&l, cases[i].seen, 1);
        assert_trusts(&l, cases[i].repeatable, cases[i].other);
    }
}

static void failed_request_shows_that_the_pod_had_closed_by_then(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    lifetime_on_failure(&l, 2300, 3000, 1); /* a time-out of 2 s, found at 2.3 s */
    assert_trusts(&l, 1900, 750);
    l = (struct lifetime){ 0 };
    lifetime_on_failure(&l, 10, 1500, 1); /* half a second after the request */
    assert_trusts(&l, 10, 0);
}

static void earliest_end_counts(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    lifetime_on_end(&l, 6000, 1);
    lifetime_on_end(&l, 3000, 2);
    lifetime_on_end(&l, 6000, 3);
    assert_trusts(&l, 1900, 750);
}

/* Connections that lasted twice the limit and longer, one each second. */
static void outlive(struct lifetime *l, int connections, uint64_t *now)
{
    for (int i = 0; i < connections; i++) {
        bool counted = false;
        *now += 1000;
        lifetime_on_alive(l, 2 * l->ended_ms + 100, *now, &counted);
        /* the same connection does not count twice */
        lifetime_on_alive(l, 2 * l->ended_ms + 200, *now, &counted);
    }
}

static void limit_recovers_slowly_when_connections_outlive_it(void **state)
{
    (void)state;
    struct lifetime l = { 0 };
    uint64_t now = 1;

    lifetime_on_end(&l, 1000, now);
    outlive(&l, 4, &now);
    assert_trusts(&l, 0, 0); /* 4 s are too short */
    outlive(&l, 1, &now);
    assert_trusts(&l, 900, 250);
    outlive(&l, 3, &now);
    assert_trusts(&l, 900, 250);
    outlive(&l, 2, &now);
    assert_trusts(&l, 2900, 1250);
}

static void limit_does_not_recover_while_ends_are_as_early_as_ever(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    for (uint64_t now = 1; now < 600000; now += 1000)
        lifetime_on_end(&l, 3000 + now % 400, now);
    assert_trusts(&l, 1901, 750);
}

static void recovery_never_goes_beyond_what_was_seen(void **state)
{
    (void)state;
    struct lifetime l = { 0 };

    lifetime_on_end(&l, 3000, 1);
    for (uint64_t i = 0; i < 8; i++)
        lifetime_on_end(&l, 3600 + i,
                        10000 + i); /* the time-out is a little longer now */
    assert_trusts(&l, 2500, 1050);
}

/* For example a pod that restarts its workers now and then. */
static void a_pod_that_breaks_its_new_limit_recovers_more_slowly(void **state)
{
    (void)state;
    struct lifetime l = { 0 };
    uint64_t now = 1;

    lifetime_on_end(&l, 1000, now);
    for (uint64_t patience = 5; patience <= 80; patience *= 2) {
        outlive(&l, (int)patience - 1, &now);
        assert_trusts(&l, 0, 0);
        outlive(&l, 1, &now);
        assert_trusts(&l, 900, 250);
        lifetime_on_end(&l, 1000, now);
        assert_trusts(&l, 0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_knowledge_a_post_gets_a_fresh_connection),
        cmocka_unit_test(
            connection_that_outlived_the_hidden_second_proves_half_of_its_time),
        cmocka_unit_test(answer_on_an_idle_connection_proves_half_of_its_time),
        cmocka_unit_test(end_is_the_limit_without_the_hidden_second),
        cmocka_unit_test(failed_request_shows_that_the_pod_had_closed_by_then),
        cmocka_unit_test(earliest_end_counts),
        cmocka_unit_test(limit_recovers_slowly_when_connections_outlive_it),
        cmocka_unit_test(limit_does_not_recover_while_ends_are_as_early_as_ever),
        cmocka_unit_test(recovery_never_goes_beyond_what_was_seen),
        cmocka_unit_test(a_pod_that_breaks_its_new_limit_recovers_more_slowly),
    };
    return cmocka_run_group_tests_name("upstream/lifetime", tests, NULL, NULL);
}
