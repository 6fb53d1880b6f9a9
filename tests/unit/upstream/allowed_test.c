/* tests/unit/upstream/allowed_test.c - namespaces in which a connection was allowed lately */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "upstream/allowed.h"

static struct sched sched;
static struct allowed allowed;

static int setup(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    sched_run(&sched, 1000);
    allowed_init(&allowed, &sched);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    allowed_finish(&allowed);
    return 0;
}

static void a_namespace_is_allowed_for_30_s_after_a_connection(void **state)
{
    (void)state;
    assert_false(allowed_lately(&allowed, STR("shop")));
    allowed_note(&allowed, STR("shop"));
    assert_true(allowed_lately(&allowed, STR("shop")));
    assert_false(allowed_lately(&allowed, STR("other")));
    sched_run(&sched, 30999);
    assert_true(allowed_lately(&allowed, STR("shop")));
    sched_run(&sched, 31000);
    assert_false(allowed_lately(&allowed, STR("shop")));
}

static void another_connection_prolongs_it(void **state)
{
    (void)state;
    allowed_note(&allowed, STR("shop"));
    sched_run(&sched, 30000);
    allowed_note(&allowed, STR("shop"));
    sched_run(&sched, 59999);
    assert_true(allowed_lately(&allowed, STR("shop")));
    sched_run(&sched, 60000);
    assert_false(allowed_lately(&allowed, STR("shop")));
}

static void of_4096_namespaces_the_known_ones_are_still_prolonged(void **state)
{
    (void)state;
    for (int i = 0; i < 4096; i++) {
        AUTO_FREE char *ns = xasprintf("ns-%d", i);
        allowed_note(&allowed, str_of(ns));
    }
    allowed_note(&allowed, STR("one-too-many"));
    assert_false(allowed_lately(&allowed, STR("one-too-many")));
    assert_true(allowed_lately(&allowed, STR("ns-4095")));
    sched_run(&sched, 30000);
    allowed_note(&allowed, STR("ns-7"));
    sched_run(&sched, 31000);
    assert_true(allowed_lately(&allowed, STR("ns-7")));
    assert_false(allowed_lately(&allowed, STR("ns-8")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_namespace_is_allowed_for_30_s_after_a_connection),
        TEST(another_connection_prolongs_it),
        TEST(of_4096_namespaces_the_known_ones_are_still_prolonged),
    };
    return cmocka_run_group_tests_name("upstream/allowed", tests, NULL, NULL);
}
