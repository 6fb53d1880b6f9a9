/* tests/session/attempts_test.c - may there be another lease for what has failed? */
#include "stage.h"

#include "base/own.h"
#include "serve/attempts.h"

static void only_two_verdicts_prove_that_nothing_was_delivered(void **state)
{
    (void)state;
    static const struct {
        enum verdict verdict;
        bool may_have;
    } cases[] = {
        { V_OPEN, true },  { V_CLEAN, true },          { V_REFUSED, false },
        { V_RESET, true }, { V_TRANSPORT_LOST, true }, { V_TARGET_GONE, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (attempts_may_have_delivered(cases[i].verdict) != cases[i].may_have)
            fail_msg("verdict %d", (int)cases[i].verdict);
}

/* Each limit at its last value and one past it. */
static void attempts_are_limited_by_what_may_have_happened(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum verdict verdict;
        bool delivered, idempotent;
        unsigned count, deliveries;
        bool may;
    } cases[] = {
        /* clang-format off */
        { "undelivered, 4 leases",      V_REFUSED,        false, false, 4, 0, true  },
        { "undelivered, 5 leases",      V_REFUSED,        false, true,  5, 0, false },
        { "delivered, not idempotent",  V_RESET,          true,  false, 1, 1, false },
        { "delivered twice",            V_RESET,          true,  true,  2, 2, true  },
        { "delivered three times",      V_RESET,          true,  true,  3, 3, false },
        { "many leases, one delivery",  V_CLEAN,          true,  true,  7, 1, true  },
        { "tunnel lost, 7 leases",      V_TRANSPORT_LOST, true,  true,  7, 7, true  },
        { "tunnel lost, 8 leases",      V_TRANSPORT_LOST, true,  true,  8, 1, false },
        { "tunnel lost, POST",          V_TRANSPORT_LOST, true,  false, 1, 1, false },
        { "tunnel lost before a byte",  V_TRANSPORT_LOST, false, false, 7, 0, true  },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream stream = { .end.verdict = cases[i].verdict };
        const struct attempts a = { .lease.stream = &stream,
                                    .count = cases[i].count,
                                    .deliveries = cases[i].deliveries };
        if (attempts_may_repeat(&a, cases[i].delivered, cases[i].idempotent, 1000) !=
            cases[i].may)
            fail_msg("%s", cases[i].name);
    }
}

/* Until the end of --wait, if the port of this pod has answered lately. */
static void a_container_that_restarts_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum verdict verdict;
        bool answered, delivered;
        uint64_t now;
        bool may;
    } cases[] = {
        /* clang-format off */
        { "within --wait",          V_REFUSED,     true,  false, 29999, true  },
        { "at its end",             V_REFUSED,     true,  false, 30000, false },
        { "it never answered",      V_REFUSED,     false, false, 29999, false },
        { "it may have the bytes",  V_RESET,       true,  true,  29999, false },
        { "it is refused by HTTP/2", V_UNPROCESSED, true,  false, 29999, false },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream stream = { .end.verdict = cases[i].verdict };
        const struct attempts a = { .lease.stream = &stream,
                                    .lease.answered_lately = cases[i].answered,
                                    .count = 5,
                                    .repeat_until = 30000 };
        if (attempts_may_repeat(&a, cases[i].delivered, false, cases[i].now) !=
            cases[i].may)
            fail_msg("%s", cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            only_two_verdicts_prove_that_nothing_was_delivered, stage_setup,
            stage_teardown),
        cmocka_unit_test_setup_teardown(attempts_are_limited_by_what_may_have_happened,
                                        stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(a_container_that_restarts_is_waited_for,
                                        stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("serve/attempts", tests, NULL, NULL);
}
