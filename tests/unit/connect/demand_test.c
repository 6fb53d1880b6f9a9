/* tests/unit/connect/demand_test.c - the recent peak of simultaneous connections */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "connect/demand.h"

static void one_connection_at_a_time_prewarms_no_tunnel(void **state)
{
    (void)state;
    struct demand d = { 0 };

    demand_note(&d, 1, 5);
    assert_int_equal(d.wanted, 1);
    assert_int_equal(d.last_opening_at, 5);
}

static void a_new_maximum_prewarms_some_more(void **state)
{
    (void)state;
    static const struct {
        uint32_t concurrent, wanted;
    } cases[] = { { 2, 3 }, { 7, 8 }, { 8, 10 }, { 50, 57 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct demand d = { 0 };
        demand_note(&d, cases[i].concurrent, 5);
        assert_int_equal(d.peak, cases[i].concurrent);
        assert_int_equal(d.wanted, cases[i].wanted);
        demand_note(&d, 1, 6);
        assert_int_equal(d.wanted, cases[i].wanted);
    }
}

static void demand_halves_from_when_it_was_last_reached(void **state)
{
    (void)state;
    struct demand d = { 0 };

    demand_note(&d, 20, 1000);
    demand_note(&d, 20, 2000);
    demand_note(&d, 19, 3000);
    demand_decay(&d, 2000 + DEMAND_HALF_MS - 1);
    assert_int_equal(d.peak, 20);
    demand_decay(&d, 2000 + DEMAND_HALF_MS);
    assert_int_equal(d.peak, 10);
    assert_int_equal(d.wanted, 11);
    demand_decay(&d, 2000 + 3 * DEMAND_HALF_MS);
    assert_int_equal(d.peak, 2);
    demand_decay(&d, UINT64_MAX / 2);
    assert_int_equal(d.peak, 0);
    assert_int_equal(d.wanted, 0);
    assert_int_equal(d.last_opening_at, 3000);
}

static void unused_capacity_is_no_demand(void **state)
{
    (void)state;
    struct demand d = { 0 };

    demand_note(&d, 8, 0);
    demand_limit(&d, 9);
    assert_int_equal(d.wanted, 9);
    assert_int_equal(d.peak, 8);
    demand_limit(&d, 3);
    assert_int_equal(d.wanted, 3);
    demand_note(&d, 4, 1); /* it rises again */
    assert_int_equal(d.wanted, 5);
}

static void expected_demand_has_the_age_of_its_model(void **state)
{
    (void)state;
    struct demand d = { 0 }, a = { 0 }, b = { 0 }, sum = { 0 };

    demand_note(&a, 3, 100);
    demand_note(&b, 5, 200);
    demand_add(&sum, &a);
    demand_add(&sum, &b);
    assert_int_equal(sum.peak, 8);
    demand_expect(&d, 8, &sum);
    assert_int_equal(d.wanted, 8);
    assert_int_equal(d.peak, 0); /* no connection yet */
    assert_int_equal(d.last_opening_at, 200);
    demand_expect(&d, 4, &sum);
    assert_int_equal(d.wanted, 8);
    demand_decay(&d, 200 + DEMAND_HALF_MS);
    assert_int_equal(d.wanted, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_at_a_time_prewarms_no_tunnel),
        cmocka_unit_test(a_new_maximum_prewarms_some_more),
        cmocka_unit_test(demand_halves_from_when_it_was_last_reached),
        cmocka_unit_test(unused_capacity_is_no_demand),
        cmocka_unit_test(expected_demand_has_the_age_of_its_model),
    };
    return cmocka_run_group_tests_name("connect/demand", tests, NULL, NULL);
}
