/* tests/session/upstream_prewarming_test.c - tunnels are prewarmed to a pod that replaces
 * another */
#include "upstream_rig.h"

#include <string.h>
#include <time.h>

#include "base/own.h"
#include "catalog/endpoint.h"

static struct service *last;

static int begin(void **state)
{
    rig_begin(state);
    last = service_ref(rig.service);
    rig_advance(1000);
    return 0;
}

static int end(void **state)
{
    service_unref(TAKE(last));
    return rig_end(state);
}

/* Changes the endpoints of the service; returns the pods that were expected because of
 * it. */
static const char *change(const char *endpoints)
{
    rig.expected[0] = '\0';
    rig_service(endpoints);
    rig.changed(rig.changed_owner, last, rig.service);
    service_unref(last);
    last = service_ref(rig.service);
    return rig.expected;
}

/* Removes hostnames, as in a Deployment, whose pods never get the name of an earlier
 * one. */
static void forget_names(void)
{
    for (size_t i = 0; i < rig.service->endpoint_count; i++)
        rig.service->endpoints[i]->hostname = NULL;
}

static const char *change_unnamed(const char *endpoints)
{
    rig.expected[0] = '\0';
    rig_service(endpoints);
    forget_names();
    rig.changed(rig.changed_owner, last, rig.service);
    service_unref(last);
    last = service_ref(rig.service);
    return rig.expected;
}

static void carry(char pod, uint32_t at_once)
{
    uint64_t now = rig.sched->now;
    rig.carried[pod - 'a'] = (struct demand){
        .peak = at_once, .wanted = at_once, .since = now, .last_opening_at = now
    };
}

static void an_unused_service_is_not_prewarmed(void **state)
{
    (void)state;
    assert_string_equal(change_unnamed("abc"), "");
    assert_string_equal(change_unnamed("cd"), "");
}

/* Pod a is removed; after a while c is added, not ready at first. */
static void demand_moves_to_the_pod_that_replaces_the_only_one(void **state)
{
    (void)state;

    change_unnamed("a");
    carry('a', 20);
    assert_string_equal(change_unnamed("1"), "");
    rig.carried[0] = (struct demand){ 0 };
    assert_string_equal(change_unnamed(""), "");
    rig_advance(5000);
    assert_string_equal(change_unnamed("C"), "");
    assert_string_equal(change_unnamed("c"), "c:20 ");
    assert_int_equal(rig.expected_of.last_opening_at, rig.sched->now - 5000);
    assert_string_equal(change_unnamed("cD"), ""); /* once */
}

static void demand_is_divided_among_new_pods(void **state)
{
    (void)state;

    change_unnamed("ab");
    carry('a', 10);
    carry('b', 11);
    assert_string_equal(change_unnamed("abc"), "c:7 ");
    rig.carried[0] = (struct demand){ 0 };
    assert_string_equal(change_unnamed("bcd"), "d:7 ");
    rig.carried[1] = (struct demand){ 0 };
    assert_string_equal(change_unnamed("cdef"), "e:6 f:6 ");
}

static void demand_of_a_deleted_pod_halves_with_time(void **state)
{
    (void)state;

    change_unnamed("a");
    carry('a', 8);
    change_unnamed("");
    rig.carried[0] = (struct demand){ 0 };
    rig_advance(DEMAND_HALF_MS);
    assert_string_equal(change_unnamed("b"), "b:4 ");
    change_unnamed("");
    rig_advance(3 * DEMAND_HALF_MS);
    assert_string_equal(change_unnamed("c"), "");
}

static void a_pod_with_the_same_name_gets_the_whole_demand(void **state)
{
    (void)state;

    change("abc");
    carry('b', 12);
    change("ac");
    rig.carried[1] = (struct demand){ 0 };
    assert_string_equal(change("abc"), "b:12 b:4 ");
}

static void our_own_pod_is_not_prewarmed(void **state)
{
    (void)state;

    change_unnamed("a");
    carry('a', 8);
    assert_string_equal(change_unnamed("am"), "");
}

/* A service with this many endpoints with different names. */
static struct service *large_service(size_t count, const char *prefix)
{
    const struct service_spec loose = { .ns = "shop", .name = "web" };
    struct service_spec *spec = spec_pack(&loose);
    struct service *s = service_create(spec);

    spec_unref(spec);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *pod = xasprintf("%s-%zu", prefix, i);
        const struct endpoint e = { .ns = "shop", .pod = pod, .uid = pod, .ready = true };
        service_add_endpoint(s, endpoint_pack(&e));
    }
    return s;
}

/* CPU seconds to handle the replacement of this many endpoints. */
static double replace_all(size_t count)
{
    struct service *before = large_service(count, "x-old"),
                   *after = large_service(count, "x-new");
    struct timespec from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    rig.changed(rig.changed_owner, before, after);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    service_unref(before);
    service_unref(after);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Quadratic time would be 64 times as long. */
static void eight_times_the_endpoints_take_less_than_24_times_as_long(void **state)
{
    (void)state;
    double least = 1e9;

    change_unnamed("a");
    carry('a', 20);
    change_unnamed("b"); /* the service is remembered */
    for (int i = 0; i < 3; i++) {
        double few = replace_all(1000), many = replace_all(8000);
        least = many / few < least ? many / few : least;
    }
    if (least >= 24)
        fail_msg("%.0f times as long", least);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(an_unused_service_is_not_prewarmed),
        TEST(demand_moves_to_the_pod_that_replaces_the_only_one),
        TEST(demand_is_divided_among_new_pods),
        TEST(demand_of_a_deleted_pod_halves_with_time),
        TEST(a_pod_with_the_same_name_gets_the_whole_demand),
        TEST(our_own_pod_is_not_prewarmed),
        TEST(eight_times_the_endpoints_take_less_than_24_times_as_long),
    };
    return cmocka_run_group_tests_name("upstream/prewarming", tests, NULL, NULL);
}
