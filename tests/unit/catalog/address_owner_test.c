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
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
    assert_non_null(strstr(w->owner.error.why.text, "10.1.2.3"));
}

static void pods_in_the_network_of_their_node_do_not_count(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    answer(w, SERVICES("10.1.2.3"), NULL);
    answer(w, PODS("10.1.2.3"), POD("10.1.2.3", "'hostNetwork': true"));
    assert_int_equal(w->owner.result, ERR_NOT_FOUND);
}

static void a_refusal_of_either_list_is_the_result(void **state)
{
    struct world *w = *state;

    find(w, "10.1.2.3");
    fake_refuse(w->api, SERVICES("10.1.2.3"), ERR_FORBIDDEN, "services is forbidden");
    sched_run(&w->sched, w->sched.now + 1);
    assert_int_equal(w->owner.result, ERR_AGAIN);
    answer(w, PODS("10.1.2.3"), NULL);
    assert_int_equal(w->owner.result, ERR_FORBIDDEN);
    assert_string_equal(w->owner.error.why.text, "services is forbidden");
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
        TEST(a_refusal_of_either_list_is_the_result),
        TEST(what_was_found_is_kept_for_a_while),
        TEST(finish_cancels_both_lists),
    };
    return cmocka_run_group_tests_name("catalog/address_owner", tests, NULL, NULL);
}
