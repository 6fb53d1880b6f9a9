#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/client_status.h"
#include "serve/recent.h"

static void counts_requests_and_failures_since_the_first(void **state)
{
    struct recent r = { 0 };
    (void)state;

    assert_int_equal(recent_rate(&r, 1000).ms, 0);
    recent_note(&r, 1000, 0);
    recent_note(&r, 2000, 1);
    struct serve_rate rate = recent_rate(&r, 3000);
    assert_int_equal(rate.requests, 2);
    assert_int_equal(rate.failures, 1);
    assert_int_equal(rate.ms, 2000);
}

static void forgets_what_is_older_than_a_minute(void **state)
{
    struct recent r = { 0 };
    (void)state;

    recent_note(&r, 100000, 0);
    assert_int_equal(recent_rate(&r, 100000 + 60000).requests, 1);
    assert_int_equal(recent_rate(&r, 100000 + 60000).ms, 60000);
    struct serve_rate rate = recent_rate(&r, 100000 + 65000);
    assert_int_equal(rate.requests, 0);
    assert_int_equal(rate.ms, 60000);
    recent_note(&r, 165000, 0); /* the slot is used again */
    assert_int_equal(recent_rate(&r, 165000).requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_requests_and_failures_since_the_first),
        cmocka_unit_test(forgets_what_is_older_than_a_minute),
    };
    return cmocka_run_group_tests_name("serve/recent", tests, NULL, NULL);
}
