/* tests/unit/catalog/zone_test.c - where the cluster's domain is looked for, and how often */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/zone.h"
#include "fake_api.h"

#define COREDNS "/api/v1/namespaces/kube-system/configmaps/coredns"
#define RKE2 "/api/v1/namespaces/kube-system/configmaps/rke2-coredns-rke2-coredns"
#define OPENSHIFT "/api/v1/namespaces/openshift-dns/configmaps/dns-default"
#define CONFIG_MAP(zone)                                                                 \
    "{'data': {'Corefile': '.:53 {\\n  kubernetes " zone " in-addr.arpa {\\n  "          \
    "}\\n}\\n'}}"

struct world {
    struct sched sched;
    struct api *api;
    struct zone_finder *finder;
    unsigned answers;
    char zone[256];
};

static void answered(void *owner, const char *zone)
{
    struct world *w = owner;

    w->answers++;
    snprintf(w->zone, sizeof(w->zone), "%s", zone ? zone : "");
}

static void pass(struct world *w, uint64_t ms)
{
    sched_run(&w->sched, w->sched.now + ms);
}

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    log_set_level(LEVEL_ERROR);
    sched_init(&w->sched, 1);
    w->api = fake_create();
    w->finder = zone_finder_create(&w->sched, w->api, 10000, answered, w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    zone_finder_destroy(w->finder);
    fake_destroy(w->api);
    sched_finish(&w->sched);
    free(w);
    return 0;
}

static void answer(struct world *w, const char *path, const char *object)
{
    fake_answer(w->api, path, (const char *const[]){ object, NULL });
    pass(w, 1);
}

static void refuse(struct world *w, const char *path, enum err e)
{
    fake_refuse(w->api, path, e, "no");
    pass(w, 1);
}

static void the_domain_is_read_with_one_call(void **state)
{
    struct world *w = *state;

    answer(w, COREDNS, CONFIG_MAP("corp.example"));
    assert_int_equal(w->answers, 1);
    assert_string_equal(w->zone, "corp.example");
    pass(w, 600000);
    assert_int_equal(fake_call_count(w->api), 1);
}

static void other_config_maps_are_read_where_one_is_missing(void **state)
{
    struct world *w = *state;

    refuse(w, COREDNS, ERR_NOT_FOUND);
    assert_int_equal(w->answers, 0);
    refuse(w, RKE2, ERR_NOT_FOUND);
    answer(w, OPENSHIFT, CONFIG_MAP("openshift.example"));
    assert_int_equal(w->answers, 1);
    assert_string_equal(w->zone, "openshift.example");
}

static void a_refusal_ends_the_search(void **state)
{
    struct world *w = *state;

    refuse(w, COREDNS, ERR_FORBIDDEN);
    assert_int_equal(w->answers, 1);
    assert_string_equal(w->zone, "");
    pass(w, 600000);
    assert_int_equal(fake_call_count(w->api), 1);
}

static void three_missing_config_maps_end_the_search(void **state)
{
    struct world *w = *state;

    refuse(w, COREDNS, ERR_NOT_FOUND);
    refuse(w, RKE2, ERR_NOT_FOUND);
    refuse(w, OPENSHIFT, ERR_NOT_FOUND);
    assert_int_equal(w->answers, 1);
    pass(w, 600000);
    assert_int_equal(fake_call_count(w->api), 3);
}

static void the_search_is_repeated_while_the_api_server_is_away(void **state)
{
    struct world *w = *state;

    refuse(w, COREDNS, ERR_CONNECT);
    assert_int_equal(w->answers, 1); /* no caller waits any longer */
    pass(w, 4998);
    assert_int_equal(fake_call_count(w->api), 1);
    pass(w, 2);
    refuse(w, COREDNS, ERR_CONNECT);
    pass(w, 9000);
    assert_int_equal(fake_call_count(w->api), 2);
    pass(w, 1001);
    answer(w, COREDNS, CONFIG_MAP("corp.example"));
    assert_string_equal(w->zone, "corp.example");
}

static void a_config_map_without_a_corefile_gives_no_domain(void **state)
{
    struct world *w = *state;

    answer(w, COREDNS, "{'data': {'Corefile': 7}}");
    assert_int_equal(w->answers, 1);
    assert_string_equal(w->zone, "");
}

static void the_search_may_be_cancelled_at_any_time(void **state)
{
    struct world *w = *state;

    zone_finder_destroy(TAKE(w->finder));
    pass(w, 1);
    assert_int_equal(w->answers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_domain_is_read_with_one_call),
        TEST(other_config_maps_are_read_where_one_is_missing),
        TEST(a_refusal_ends_the_search),
        TEST(three_missing_config_maps_end_the_search),
        TEST(the_search_is_repeated_while_the_api_server_is_away),
        TEST(a_config_map_without_a_corefile_gives_no_domain),
        TEST(the_search_may_be_cancelled_at_any_time),
    };
    return cmocka_run_group_tests_name("catalog/zone", tests, NULL, NULL);
}
