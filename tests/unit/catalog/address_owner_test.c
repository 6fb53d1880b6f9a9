/* tests/unit/catalog/address_owner_test.c - which service or pod has an address */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/address_owner.h"
#include "fake_api.h"

#define SERVICES(ip) "/api/v1/services?fieldSelector=spec.clusterIP%3D" ip
#define PODS(ip) "/api/v1/pods?fieldSelector=status.podIP%3D" ip
#define SERVICE(ip)                                                                      \
    "{'metadata': {'namespace': 'shop', 'name': 'web'}, 'spec': {'clusterIP': '" ip      \
    "', 'clusterIPs': ['" ip "']}}"
#define POD(ip, more)                                                                    \
    "{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': 'u'}, 'spec': {" more    \
    "}, 'status': {'phase': 'Running', 'podIP': '" ip "'}}"

#define ALL_SERVICES "/api/v1/services"
#define ALL_PODS "/api/v1/pods"
#define DUAL_SERVICE                                                                     \
    "{'metadata': {'namespace': 'shop', 'name': 'dual'}, 'spec': {'clusterIP': "         \
    "'10.96.0.8', 'clusterIPs': ['10.96.0.8', 'fd00::7']}}"
#define DUAL_POD(more)                                                                   \
    "{'metadata': {'namespace': 'shop', 'name': 'dual-1', 'uid': 'u'}, 'spec': {" more   \
    "}, 'status': {'phase': 'Running', 'podIP': '10.1.0.9', 'podIPs': [{'ip': "          \
    "'10.1.0.9'}, {'ip': 'fd00:1::9'}]}}"

struct world {
    struct sched sched;
    struct api *api;
    struct catalog *catalog;
    struct address_owner owner;
    struct task wake;
    unsigned wakes;
};

static void on_wake(struct task *t)
{
    container_of(t, struct world, wake)->wakes++;
}

static int set_up(void **state)
{
    static const struct catalog_settings settings = { .keep_ms = 3000,
                                                      .call_ms = 10000,
                                                      .home_ns = "shop" };
    struct world *w = xcalloc(1, sizeof(*w));

    log_set_level(LEVEL_ERROR);
    sched_init(&w->sched, 1);
    w->sched.now = 1000;
    w->api = fake_create();
    w->catalog = catalog_create(&w->sched, w->api, &settings);
    task_init(&w->wake, &w->sched, RANK_WORK, on_wake);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    address_owner_finish(&w->owner);
    task_cancel(&w->wake);
    catalog_destroy(w->catalog);
    fake_destroy(w->api);
    sched_finish(&w->sched);
    free(w);
    return 0;
}

static void find(struct world *w, const char *address)
{
    address_owner_find(&w->owner, w->catalog, address, &w->wake);
    sched_run(&w->sched, w->sched.now + 1);
}

static void answer(struct world *w, const char *path, const char *object)
{
    fake_answer(w->api, path, (const char *const[]){ object, NULL });
    sched_run(&w->sched, w->sched.now + 1);
}

static void a_cluster_ip_belongs_to_its_service(void **state)
{
    struct world *w = *state;

    find(w, "10.96.0.7");
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, SERVICES("10.96.0.7"), SERVICE("10.96.0.7"));
    assert_int_equal(w->owner.result, OK); /* the list of pods is not waited for */
    assert_int_equal(w->wakes, 1);
    assert_false(w->owner.is_pod);
    assert_string_equal(w->owner.ns, "shop");
    assert_string_equal(w->owner.name, "web");
}

static void a_pod_ip_belongs_to_its_pod(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    answer(w, SERVICES("10.1.2.3"), NULL);
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, PODS("10.1.2.3"), POD("10.1.2.3", ""));
    assert_int_equal(w->owner.result, OK);
    assert_true(w->owner.is_pod);
    assert_string_equal(w->owner.name, "web-1");
}

static void objects_without_the_address_do_not_count(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3"); /* the API server has ignored the field selector */
    answer(w, SERVICES("10.1.2.3"), SERVICE("10.96.0.7"));
    answer(w, PODS("10.1.2.3"), POD("10.1.2.4", ""));
    answer(w, ALL_SERVICES, SERVICE("10.96.0.7"));
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, ALL_PODS, POD("10.1.2.4", ""));
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
    assert_non_null(strstr(w->owner.error.why.text, "10.1.2.3"));
}

static void pods_in_the_network_of_their_node_do_not_count(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    answer(w, SERVICES("10.1.2.3"), NULL);
    answer(w, PODS("10.1.2.3"), POD("10.1.2.3", "'hostNetwork': true"));
    answer(w, ALL_SERVICES, NULL);
    answer(w, ALL_PODS, POD("10.1.2.3", "'hostNetwork': true"));
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
}

static void second_addresses_are_found_among_all_objects(void **state)
{
    struct world *w = *state;

    find(w, "fd00::7");
    answer(w, SERVICES("fd00::7"), NULL);
    answer(w, PODS("fd00::7"), NULL);
    answer(w, ALL_SERVICES, DUAL_SERVICE);
    assert_int_equal(w->owner.result, OK);
    assert_false(w->owner.is_pod);
    assert_string_equal(w->owner.name, "dual");
    find(w, "fd00:1::9");
    answer(w, SERVICES("fd00:1::9"), NULL);
    answer(w, PODS("fd00:1::9"), NULL);
    answer(w, ALL_PODS, DUAL_POD(""));
    assert_int_equal(w->owner.result, OK);
    assert_true(w->owner.is_pod);
    assert_string_equal(w->owner.name, "dual-1");
}

static void second_addresses_of_node_network_pods_do_not_count(void **state)
{
    struct world *w = *state;

    find(w, "fd00:1::9");
    answer(w, SERVICES("fd00:1::9"), NULL);
    answer(w, PODS("fd00:1::9"), NULL);
    answer(w, ALL_SERVICES, NULL);
    answer(w, ALL_PODS, DUAL_POD("'hostNetwork': true"));
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
}

/* Looks for an address that neither first nor second ones have. */
static void find_no_owner(struct world *w, bool all, const char *service)
{
    w->sched.now += 4000; /* nothing is cached */
    find(w, "fd00::99");
    answer(w, SERVICES("fd00::99"), NULL);
    answer(w, PODS("fd00::99"), NULL);
    assert_int_equal(w->owner.result, all ? ERR_AGAIN : ERR_NOT_FOUND);
    if (!all)
        return;
    answer(w, ALL_SERVICES, service);
    answer(w, ALL_PODS, NULL);
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
}

static void a_cluster_without_second_addresses_is_not_listed_again(void **state)
{
    struct world *w = *state;

    find_no_owner(w, true, SERVICE("10.96.0.7"));
    find_no_owner(w, false, NULL);
    w->sched.now += 5 * 60 * 1000;
    find_no_owner(w, true, DUAL_SERVICE);
    find_no_owner(w, true, DUAL_SERVICE);
}

static void that_no_object_has_the_address_is_kept_for_a_while(void **state)
{
    struct world *w = *state;

    find_no_owner(w, true, NULL);
    size_t calls = fake_call_count(w->api);
    find(w, "fd00::99");
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
    assert_non_null(strstr(w->owner.error.why.text, "fd00::99"));
    assert_int_equal(fake_call_count(w->api), calls);
}

static void refuse(struct world *w, const char *path)
{
    fake_refuse(w->api, path, ERR_FORBIDDEN, "services is forbidden");
    sched_run(&w->sched, w->sched.now + 1);
}

static void where_the_cluster_may_not_be_listed_a_namespace_is(void **state)
{
    struct world *w = *state;

    find(w, "10.96.0.7");
    refuse(w, SERVICES("10.96.0.7"));
    refuse(w, PODS("10.96.0.7"));
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, "/api/v1/namespaces/shop/services", SERVICE("10.96.0.7"));
    assert_int_equal(w->owner.result, OK);
    assert_string_equal(w->owner.ns, "shop");
}

static void the_missing_right_is_named(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    refuse(w, SERVICES("10.1.2.3"));
    refuse(w, PODS("10.1.2.3"));
    answer(w, "/api/v1/namespaces/shop/services", SERVICE("10.96.0.7"));
    refuse(w, "/api/v1/namespaces/shop/pods");
    assert_int_equal(w->owner.result, ERR_FORBIDDEN);
    assert_non_null(strstr(w->owner.error.why.text, "10.1.2.3"));
    assert_non_null(strstr(w->owner.error.why.text,
                           "\"list\" on \"services\" and \"pods\" in the whole cluster"));
}

static void other_failures_are_the_result(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    fake_refuse(w->api, SERVICES("10.1.2.3"), ERR_SERVER, "etcd is down");
    sched_run(&w->sched, w->sched.now + 1);
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, PODS("10.1.2.3"), NULL);
    answer(w, ALL_PODS, NULL);
    assert_int_equal(w->owner.result, ERR_SERVER);
    assert_string_equal(w->owner.error.why.text, "etcd is down");
}

static void what_was_found_is_kept_for_a_while(void **state)
{
    struct world *w = *state;

    find(w, "10.96.0.7");
    answer(w, SERVICES("10.96.0.7"), SERVICE("10.96.0.7"));
    size_t asked = fake_call_count(w->api);
    w->owner.result = ERR_AGAIN;
    find(w, "10.96.0.7");
    assert_int_equal(w->owner.result, OK);
    assert_int_equal(fake_call_count(w->api), asked);
    sched_run(&w->sched, w->sched.now + 4000);
    find(w, "10.96.0.7");
    assert_int_equal(w->owner.result, ERR_AGAIN);
    assert_int_equal(fake_waiting(w->api, SERVICES("10.96.0.7")), 1);
}

static void finish_cancels_both_lists(void **state)
{
    struct world *w = *state;

    find(w, "10.96.0.7");
    address_owner_finish(&w->owner);
    assert_int_equal(fake_waiting(w->api, SERVICES("10.96.0.7")), 0);
    assert_int_equal(fake_waiting(w->api, PODS("10.96.0.7")), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cluster_ip_belongs_to_its_service),
        TEST(a_pod_ip_belongs_to_its_pod),
        TEST(objects_without_the_address_do_not_count),
        TEST(pods_in_the_network_of_their_node_do_not_count),
        TEST(second_addresses_are_found_among_all_objects),
        TEST(second_addresses_of_node_network_pods_do_not_count),
        TEST(a_cluster_without_second_addresses_is_not_listed_again),
        TEST(that_no_object_has_the_address_is_kept_for_a_while),
        TEST(where_the_cluster_may_not_be_listed_a_namespace_is),
        TEST(the_missing_right_is_named),
        TEST(other_failures_are_the_result),
        TEST(what_was_found_is_kept_for_a_while),
        TEST(finish_cancels_both_lists),
    };
    return cmocka_run_group_tests_name("catalog/address_owner", tests, NULL, NULL);
}
