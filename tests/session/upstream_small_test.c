/* tests/session/upstream_small_test.c - a small request takes an endpoint without a dial */
#include "upstream_rig.h"

#include <string.h>

static void lease_small(struct borrower *a, bool small)
{
    borrower_init(a, "web.shop");
    a->want.small = small;
    borrower_lease(a);
    assert_int_equal(a->lease.result, OK);
}

static char endpoint_of(const struct borrower *a)
{
    return a->lease.endpoint->uid[0];
}

static void a_small_request_goes_where_a_worker_slot_is_free(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("abcdef");
    rig.room = "d";
    for (int i = 0; i < 10; i++) {
        lease_small(&a, true);
        assert_int_equal(endpoint_of(&a), 'd');
        assert_true(rig.dials[rig.dial_count - 1].small);
        borrower_return(&a, RELEASE_CLOSE);
    }
    assert_non_null(
        /* the endpoint that it would have used is dialled */
        strstr(rig.expected, ":1 "));
    /* ... also where it has a tunnel that an idle connection to another port keeps */
    assert_string_not_equal(rig.made_room, "");
    assert_int_not_equal(rig.made_room[strlen(rig.made_room) - 1], 'd');
}

static void an_idle_connection_counts_as_a_free_slot(void **state)
{
    (void)state;
    struct borrower a, b;

    lease_small(&a, true);
    char used = endpoint_of(&a);
    borrower_return(&a, RELEASE_KEEP);
    lease_small(&b, true);
    assert_int_equal(endpoint_of(&b), used);
    assert_true(b.lease.reused);
    borrower_return(&b, RELEASE_CLOSE);
}

static void other_requests_go_where_the_load_is_least(void **state)
{
    (void)state;
    struct borrower a;
    bool elsewhere = false;

    rig_service("abcdef");
    rig.room = "d";
    for (int i = 0; i < 20; i++) {
        lease_small(&a, false);
        elsewhere = elsewhere || endpoint_of(&a) != 'd';
        assert_false(rig.dials[rig.dial_count - 1].small);
        borrower_return(&a, RELEASE_CLOSE);
    }
    assert_true(elsewhere);
    assert_string_equal(rig.expected, "");
}

/* Whichever pod had the transfer, because the next response may come from another one. */
static void in_a_service_with_large_transfers_no_request_is_small(void **state)
{
    (void)state;
    struct borrower a;
    bool elsewhere = false;

    rig_service("abcdef");
    rig.room = "d";
    rig.large = "b";
    for (int i = 0; i < 20; i++) {
        lease_small(&a, true);
        elsewhere = elsewhere || endpoint_of(&a) != 'd';
        assert_false(rig.dials[rig.dial_count - 1].small);
        borrower_return(&a, RELEASE_CLOSE);
    }
    assert_true(elsewhere);
}

static void a_second_endpoint_is_prepared_when_the_first_request_is_over(void **state)
{
    (void)state;
    struct borrower a;

    lease_small(&a, true);
    char first = endpoint_of(&a);
    assert_string_equal(rig.expected, "");
    borrower_return(&a, RELEASE_KEEP);
    assert_string_equal(rig.expected, first == 'a' ? "b:1 " : "a:1 ");
    assert_int_equal(rig.expected_of.last_opening_at, rig.sched->now);
    assert_int_equal(rig.prewarmed[0], first); /* and one more tunnel to that one */
}

static void one_endpoint_of_a_service_has_one_more(void **state)
{
    (void)state;
    struct borrower a, b;

    /* whichever was used, the other one has several tunnels already */
    rig.several = "ab";
    lease_small(&a, true);
    lease_small(&b, true);
    borrower_return(&a, RELEASE_KEEP);
    borrower_return(&b, RELEASE_KEEP);
    assert_string_equal(rig.prewarmed, "");
}

static void an_aborted_request_prepares_no_endpoint(void **state)
{
    (void)state;
    struct borrower a;

    lease_small(&a, true);
    borrower_return(&a, RELEASE_ABORT);
    assert_string_equal(rig.expected, "");
    assert_string_equal(rig.prewarmed, "");
}

static void a_single_endpoint_prepares_no_second(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    lease_small(&a, true);
    borrower_return(&a, RELEASE_KEEP);
    assert_string_equal(rig.expected, "");
}

static void a_client_that_sticks_to_its_endpoint_stays_there(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("abcdef");
    rig.service->sticky = true;
    lease_small(&a, true);
    char own = endpoint_of(&a);
    borrower_return(&a, RELEASE_CLOSE);
    rig.room = own == 'a' ? "b" : "a";
    lease_small(&a, true);
    assert_int_equal(endpoint_of(&a), own);
    borrower_return(&a, RELEASE_CLOSE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(a_small_request_goes_where_a_worker_slot_is_free),
        TEST(an_idle_connection_counts_as_a_free_slot),
        TEST(other_requests_go_where_the_load_is_least),
        TEST(in_a_service_with_large_transfers_no_request_is_small),
        TEST(a_second_endpoint_is_prepared_when_the_first_request_is_over),
        TEST(one_endpoint_of_a_service_has_one_more),
        TEST(an_aborted_request_prepares_no_endpoint),
        TEST(a_single_endpoint_prepares_no_second),
        TEST(a_client_that_sticks_to_its_endpoint_stays_there),
    };
    return cmocka_run_group_tests_name("upstream/small", tests, NULL, NULL);
}
