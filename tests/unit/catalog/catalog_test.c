/* tests/unit/catalog/catalog_test.c - every level of rights, on a scripted API server
 *
 * Nothing here waits: the test advances the clock and answers the calls.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "captured_log.h"
#include "catalog/catalog.h"
#include "catalog/record.h"
#include "fake_api.h"

#define SERVICES "/api/v1/services"
#define SLICES "/apis/discovery.k8s.io/v1/endpointslices"
#define HOME_SERVICES "/api/v1/namespaces/home/services"
#define HOME_SLICES "/apis/discovery.k8s.io/v1/namespaces/home/endpointslices"
#define WEB "/api/v1/namespaces/shop/services/web"
#define WEB_SLICES "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
#define ENDPOINTS "/api/v1/endpoints"
#define HOME_ENDPOINTS "/api/v1/namespaces/home/endpoints"
#define WEB_ENDPOINTS "/api/v1/namespaces/shop/endpoints/web"
#define WEB_BY_NAME "/api/v1/namespaces/shop/services?fieldSelector=metadata.name%3Dweb"
#define WEB_WATCH WEB_BY_NAME
#define WEB_SLICES_WATCH                                                                 \
    "/apis/discovery.k8s.io/v1/namespaces/shop/"                                         \
    "endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb"
#define SHOP_PODS "/api/v1/namespaces/shop/pods"

/* A service of one port; v is its version. */
#define SERVICE(name, v)                                                                 \
    "{'metadata': {'namespace': 'shop', 'name': '" name "', 'resourceVersion': '" v      \
    "'},"                                                                                \
    " 'spec': {'selector': {'app': '" name "'}, 'ports': [{'port': 80}]}}"
#define ENDPOINT(n)                                                                      \
    "{'targetRef': {'kind': 'Pod', 'namespace': 'shop', 'name': 'web-" n                 \
    "', 'uid': 'u" n "'}}"
#define SLICE(name, service, v, endpoints)                                               \
    "{'metadata': {'namespace': 'shop', 'name': '" name "', 'resourceVersion': '" v "'," \
    "  'labels': {'kubernetes.io/service-name': '" service "'}},"                        \
    " 'ports': [{'port': 8080}], 'endpoints': [" endpoints "]}"
#define POD(n, phase)                                                                    \
    "{'metadata': {'namespace': 'shop', 'name': 'web-" n "', 'uid': 'u" n "'},"          \
    " 'status': {'phase': '" phase "', 'podIP': '10.1.0." n "',"                         \
    "            'conditions': [{'type': 'Ready', 'status': 'True'}]}}"

/* One catalog, its API server and one look-up. */
struct world {
    struct sched sched;
    struct api *api;
    struct catalog *catalog;
    struct lookup lookup;
    struct task wake;
    int woken;
    char gone[4096];
    /* "1>2 ": the number of endpoints before and after; "-" is no service */
    char changes[256];
};

static void on_wake(struct task *t)
{
    container_of(t, struct world, wake)->woken++;
}

static void on_gone(void *owner, const char *key)
{
    struct world *w = owner;

    strcat(w->gone, strrchr(key, '/') + 1);
    strcat(w->gone, " ");
}

static void note_missing(struct world *w, const char *number)
{
    char name[] = "web-?", uid[] = "u?", key[] = "shop/web-?/u?";
    struct endpoint e = { .ns = "shop", .pod = name, .uid = uid, .key = key };

    name[4] = uid[1] = key[9] = key[12] = number[0];
    catalog_note_missing(w->catalog, &e);
}

static void on_change(void *owner, const struct service *before,
                      const struct service *after)
{
    struct world *w = owner;
    const struct service *sides[] = { before, after };

    assert_string_equal(w->gone, ""); /* before the change is reported */
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(w->changes);
        snprintf(w->changes + len, sizeof(w->changes) - len, "%c%c",
                 sides[i] ? (char)('0' + sides[i]->endpoint_count) : '-', i ? ' ' : '>');
    }
}

static void pass(struct world *w, uint64_t ms)
{
    sched_run(&w->sched, w->sched.now + ms);
}

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    struct catalog_settings settings = { .keep_ms = 3000,
                                         .call_ms = 10000,
                                         .home_ns = "home",
                                         .lazy_above = 1000,
                                         .lazy_above_bytes = 1000000 };

    log_set_level(LEVEL_ERROR);
    sched_init(&w->sched, 1);
    w->api = fake_create();
    w->catalog = catalog_create(&w->sched, w->api, &settings);
    catalog_on_gone(w->catalog, on_gone, w);
    task_init(&w->wake, &w->sched, RANK_WORK, on_wake);
    pass(w, 1);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    lookup_finish(&w->lookup);
    catalog_destroy(w->catalog);
    fake_destroy(w->api);
    task_cancel(&w->wake);
    sched_finish(&w->sched);
    free(w);
    return 0;
}

static void look_up_service(struct world *w, struct lookup *l, const char *name,
                            uint64_t max_age_ms)
{
    catalog_lookup(w->catalog, STR("shop"), str_of(name), max_age_ms, l, &w->wake);
}

static void look_up(struct world *w)
{
    look_up_service(w, &w->lookup, "web", UINT64_MAX);
}

static void watch_all(struct world *w)
{
    fake_live(w->api, SERVICES);
    fake_live(w->api, SLICES);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
}

/* All may be watched; there is a service "web" with one ready pod. */
static void watch_web(struct world *w)
{
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    watch_all(w);
}

/* Nothing may be watched, only looked up. */
static void only_look_up(struct world *w)
{
    fake_broken(w->api, SLICES, ERR_FORBIDDEN, "no");
    fake_listed(w->api, SERVICES);
    fake_broken(w->api, SERVICES, ERR_FORBIDDEN, "no watch");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LOOKUP);
}

static void answer_one(struct world *w, const char *path, const char *object)
{
    fake_answer(w->api, path, (const char *const[]){ object, NULL });
    pass(w, 1);
}

static void refuse_one(struct world *w, const char *path, enum err e)
{
    fake_refuse(w->api, path, e, "said so");
    pass(w, 1);
}

static void look_up_web(struct world *w)
{
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    if (fake_waiting(w->api, WEB_SLICES))
        refuse_one(w, WEB_SLICES, ERR_FORBIDDEN);
    if (fake_waiting(w->api, WEB_ENDPOINTS))
        refuse_one(w, WEB_ENDPOINTS, ERR_FORBIDDEN);
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    assert_int_equal(w->lookup.result, OK);
}

/* --- rights --- */

static void watches_the_cluster_where_it_may(void **state)
{
    struct world *w = *state;
    struct api_error e;

    assert_int_equal(catalog_rights(w->catalog), RIGHTS_UNKNOWN);
    assert_false(catalog_ready(w->catalog, &e));
    fake_live(w->api, SERVICES);
    pass(w, 1);
    assert_false(catalog_ready(w->catalog, NULL));
    fake_live(w->api, SLICES);
    pass(w, 1);
    assert_true(catalog_ready(w->catalog, &e));
    assert_int_equal(e.code, OK);
    assert_null(catalog_scope(w->catalog));
}

static void watches_the_home_namespace_where_the_cluster_is_forbidden(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SERVICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_false(fake_watches(w->api, SERVICES) || fake_watches(w->api, SLICES));
    assert_false(catalog_ready(w->catalog, NULL));
    fake_live(w->api, HOME_SERVICES);
    fake_live(w->api, HOME_SLICES);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
    assert_string_equal(catalog_scope(w->catalog), "home");
}

static void looks_up_where_the_home_namespace_may_not_be_listed(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SERVICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    fake_broken(w->api, HOME_SERVICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LOOKUP);
    assert_string_equal(catalog_scope(w->catalog), "home");
    assert_true(catalog_ready(w->catalog, NULL));
}

static void looks_up_where_watches_are_forbidden(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    assert_null(catalog_scope(w->catalog));
    assert_false(fake_watches(w->api, SERVICES) || fake_watches(w->api, SLICES));
}

static void looks_up_where_the_home_namespace_may_not_be_watched(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SERVICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    fake_broken(w->api, HOME_SLICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_UNKNOWN);
    fake_listed(w->api, HOME_SERVICES);
    pass(w, 1);
    fake_broken(w->api, HOME_ENDPOINTS, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LOOKUP);
    assert_string_equal(catalog_scope(w->catalog), "home");
}

#define WEB_ENDPOINTS_OBJECT(n)                                                          \
    "{'metadata': {'namespace': 'shop', 'name': 'web', 'resourceVersion': '1'},"         \
    " 'subsets': [{'ports': [{'port': 8080}], 'addresses': [{'ip': '10.1.0." n "',"      \
    "   'targetRef': {'kind': 'Pod', 'namespace': 'shop', 'name': 'web-" n               \
    "', 'uid': 'u" n "'}}],"                                                             \
    "   'notReadyAddresses': [{'targetRef': {'kind': 'Pod', 'name': 'web-9',"            \
    "     'uid': 'u9'}}]}]}"

/* 404 of an API server that does not know the group, 403 where the roles do not. */
static void endpoints_are_watched_where_slices_are_not_served_or_forbidden(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SLICES, ERR_NOT_FOUND, "no such group");
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_live(w->api, SERVICES);
    pass(w, 1);
    assert_false(fake_watches(w->api, SLICES));
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_UNKNOWN);
    fake_event(w->api, ENDPOINTS, API_ADDED, WEB_ENDPOINTS_OBJECT("1"));
    fake_live(w->api, ENDPOINTS);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 2);
    assert_string_equal(w->lookup.service->endpoints[0]->pod, "web-1");
    assert_true(w->lookup.service->endpoints[0]->ready);
    assert_false(w->lookup.service->endpoints[1]->ready);
    assert_int_equal(fake_call_count(w->api), 0);

    fake_event(w->api, ENDPOINTS, API_MODIFIED, WEB_ENDPOINTS_OBJECT("2"));
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    fake_event(w->api, ENDPOINTS, API_DELETED,
               "{'metadata': {'namespace': 'shop', 'name': 'web'}}");
    pass(w, 1);
    look_up(w);
    assert_int_equal(fake_waiting(w->api, SHOP_PODS), 1);
}

/* A role may permit listing slices and not watching them, so the list would become
 * outdated. */
static void endpoints_replace_slices_that_may_not_be_watched(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_live(w->api, SERVICES);
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    fake_listed(w->api, SLICES);
    fake_broken(w->api, SLICES, ERR_FORBIDDEN, "may not watch");
    pass(w, 1);
    fake_live(w->api, ENDPOINTS);
    pass(w, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    answer_one(w, SHOP_PODS, NULL);
    assert_int_equal(w->lookup.service->endpoint_count, 0);
    lookup_finish(&w->lookup);

    /* The service's record is removed; the slice is then found by its name. */
    fake_event(w->api, SERVICES, API_DELETED,
               "{'metadata': {'namespace': 'shop', 'name': 'web'}}");
    pass(w, 15 * 60 * 1000);
    fake_broken(w->api, ENDPOINTS, ERR_FORBIDDEN, "no");
    pass(w, 1);
    pass(w, 15001);
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "2", ENDPOINT("1")));
    pass(w, 1);
}

static void looks_up_where_neither_slices_nor_endpoints_may_be_watched(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SLICES, ERR_FORBIDDEN, "no");
    fake_live(w->api, SERVICES);
    pass(w, 1);
    fake_broken(w->api, ENDPOINTS, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LOOKUP);
    assert_int_equal(fake_watch_count(w->api), 0);
}

static void probes_the_rights_again_when_they_are_revoked(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    fake_broken(w->api, SLICES, ERR_FORBIDDEN, "no more");
    pass(w, 1);
    pass(w, 14000);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
    pass(w, 1000);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_UNKNOWN);
    assert_string_equal(w->gone, "");
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    only_look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->gone, "");
}

static void a_passing_refusal_does_not_lower_the_rights(void **state)
{
    struct world *w = *state;

    watch_web(w);
    for (int i = 0; i < 3; i++) {
        fake_broken(w->api, SERVICES, ERR_FORBIDDEN, "RBAC is not there yet");
        pass(w, 10000);
        fake_live(w->api, SERVICES);
        pass(w, 1);
    }
    pass(w, 60000);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
}

/* For example a load balancer's page for a path that it does not know. */
static void a_refusal_of_a_proxy_does_not_lower_the_rights(void **state)
{
    struct world *w = *state;

    fake_proxied(w->api, SERVICES, ERR_NOT_FOUND);
    fake_proxied(w->api, SLICES, ERR_NOT_FOUND);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_UNKNOWN);
    watch_web(w);
    fake_proxied(w->api, SERVICES, ERR_FORBIDDEN);
    fake_proxied(w->api, SLICES, ERR_NOT_FOUND);
    pass(w, 60000);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
}

static void only_a_404_status_of_the_api_server_makes_a_service_missing(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    fake_refuse_proxied(w->api, WEB, ERR_NOT_FOUND);
    pass(w, 1);
    assert_int_equal(w->lookup.result, ERR_SERVER);
}

static void probes_for_more_rights_every_five_minutes(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    pass(w, 299000);
    assert_false(fake_watches(w->api, SERVICES));
    pass(w, 1000);
    assert_true(fake_watches(w->api, SERVICES));
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LOOKUP);
    only_look_up(w); /* there are none */
    pass(w, 300000);
    watch_web(w);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
}

static void requests_slices_again_a_minute_after_a_refusal(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    pass(w, 59000);
    look_up(w);
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    pass(w, 4000);
    look_up(w);
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 1);
}

static void reports_the_error_while_the_api_server_is_away(void **state)
{
    struct world *w = *state;
    struct api_error e;

    fake_broken(w->api, SERVICES, ERR_CONNECT, "connection refused");
    pass(w, 1);
    assert_false(catalog_ready(w->catalog, &e));
    assert_int_equal(e.code, ERR_CONNECT);
    assert_string_equal(e.why.text, "connection refused");
    look_up(w);
    refuse_one(w, WEB, ERR_CONNECT);
    assert_int_equal(w->lookup.result, ERR_CONNECT);
    assert_int_equal(w->woken, 1);
    watch_web(w);
    assert_true(catalog_ready(w->catalog, &e));
    assert_int_equal(e.code, OK);
    assert_true(w->woken > 1);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
}

/* --- the first answer --- */

static void the_first_look_up_costs_one_round_trip(void **state)
{
    struct world *w = *state;

    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_int_equal(fake_call_count(w->api), 2);
    assert_string_equal(fake_selector(w->api, WEB_SLICES),
                        "kubernetes.io/service-name=web");
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->woken, 0);
    answer_one(w, WEB, SERVICE("web", "1"));
    assert_int_equal(w->woken, 1);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_int_equal(endpoint_port(w->lookup.service, w->lookup.service->endpoints[0], 0),
                     8080);
    assert_int_equal(fake_call_count(w->api), 2);
}

static void a_look_up_may_be_answered_by_the_watch(void **state)
{
    struct world *w = *state;

    look_up(w);
    watch_web(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->woken, 1);
    assert_int_equal(fake_waiting(w->api, WEB), 0);
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
}

static void a_look_up_answered_by_the_watch_has_the_reason(void **state)
{
    struct world *w = *state;

    look_up(w);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    watch_all(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_int_equal(fake_waiting(w->api, WEB), 0);
    answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->pods_seen, 1);
}

static void an_unfinished_list_answers_no_look_up(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_live(w->api, SERVICES);
    pass(w, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_int_equal(fake_waiting(w->api, WEB), 1);
}

static void an_unknown_service_is_not_found_before_its_slices_come(void **state)
{
    struct world *w = *state;

    look_up(w);
    fake_refuse(w->api, WEB, ERR_NOT_FOUND, "services \"web\" not found");
    pass(w, 1);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    assert_string_equal(w->lookup.error.why.text, "services \"web\" not found");
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
}

/* --- watched --- */

static void a_watched_service_is_found_at_once(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->pod, "web-1");
    assert_true(w->lookup.service->last_ready > 0);
    assert_int_equal(fake_call_count(w->api), 0);
}

static void slices_are_merged_in_any_order(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SLICES, API_ADDED, SLICE("web-b", "web", "1", ENDPOINT("2")));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-c", "web", "1", ENDPOINT("2")));
    watch_web(w);
    look_up(w);
    assert_int_equal(w->lookup.service->endpoint_count, 2);
}

static void a_change_wakes_look_ups_and_keeps_held_entries(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    struct service *held = service_ref(w->lookup.service);
    fake_event(w->api, SLICES, API_MODIFIED,
               SLICE("web-a", "web", "2", ENDPOINT("1") "," ENDPOINT("2")));
    pass(w, 1);
    assert_int_equal(w->woken, 1);
    assert_int_equal(held->endpoint_count, 1);
    look_up(w);
    assert_int_equal(w->lookup.service->endpoint_count, 2);
    service_unref(held);
}

static void an_unchanged_list_wakes_no_look_up(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    pass(w, 1);
    assert_int_equal(w->woken, 0);
    fake_event(w->api, SERVICES, API_MODIFIED, SERVICE("web", "2"));
    pass(w, 1);
    assert_int_equal(w->woken, 0);
}

static void many_events_of_a_turn_are_one_change(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-b", "web", "1", ENDPOINT("2")));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-c", "web", "1", ENDPOINT("3")));
    fake_event(w->api, SLICES, API_DELETED, SLICE("web-c", "web", "1", ENDPOINT("3")));
    pass(w, 1);
    assert_int_equal(w->woken, 1);
    assert_string_equal(w->gone, "");
}

static void reports_deleted_pods(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ENDPOINT("2")));
    pass(w, 0);
    assert_string_equal(w->gone, "u1 ");
}

/* Also without subscribers; but not of services that were never looked up. */
static void reports_changed_services(void **state)
{
    struct world *w = *state;

    catalog_on_change(w->catalog, on_change, w);
    watch_web(w);
    assert_string_equal(w->changes, "");
    look_up(w);
    assert_string_equal(w->changes, "->1 ");
    lookup_finish(&w->lookup);
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ENDPOINT("2")));
    pass(w, 0);
    assert_string_equal(w->changes, "->1 1>1 ");
    assert_string_equal(w->gone, "u1 ");
    catalog_on_change(w->catalog, NULL, NULL);
}

static void a_name_without_service_is_not_reported_as_changed(void **state)
{
    struct world *w = *state;

    catalog_on_change(w->catalog, on_change, w);
    watch_web(w);
    look_up_service(w, &w->lookup, "nope", 3000);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    assert_string_equal(w->changes, "");
    catalog_on_change(w->catalog, NULL, NULL);
}

static void a_slice_deleted_between_watches_is_removed(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    fake_event(w->api, SLICES, API_DELETED,
               "{'metadata': {'namespace': 'shop', 'name': 'web-a', 'uid': 'x'}}");
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    fake_event(w->api, SERVICES, API_DELETED,
               "{'metadata': {'namespace': 'shop', 'name': 'web', 'uid': 'y'}}");
    pass(w, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
}

static void a_slice_may_move_to_another_service(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("api", "1"));
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "api", "2", ENDPOINT("1")));
    pass(w, 1);
    look_up_service(w, &w->lookup, "api", 0);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    look_up(w);
    assert_int_equal(w->lookup.result,
                     ERR_AGAIN); /* no endpoint is ready, so the reason is looked up */
}

static void a_pod_of_two_services_is_gone_after_both_lost_it(void **state)
{
    struct world *w = *state;
    struct lookup other = { .result = ERR_AGAIN };

    watch_web(w);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("api", "1"));
    fake_event(w->api, SLICES, API_ADDED, SLICE("api-a", "api", "1", ENDPOINT("1")));
    pass(w, 1);
    look_up(w);
    look_up_service(w, &other, "api", 0);
    fake_event(w->api, SLICES, API_DELETED, SLICE("web-a", "web", "1", ""));
    pass(w, 1);
    assert_string_equal(w->gone, "");
    fake_event(w->api, SLICES, API_DELETED, SLICE("api-a", "api", "1", ""));
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    lookup_finish(&other);
}

static void a_created_and_deleted_service_is_noticed(void **state)
{
    struct world *w = *state;

    watch_all(w);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    assert_string_equal(w->lookup.error.why.text, "services \"web\" not found");
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    pass(w, 1);
    assert_int_equal(w->woken, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);

    fake_event(w->api, SERVICES, API_DELETED, SERVICE("web", "2"));
    fake_event(w->api, SLICES, API_DELETED, SLICE("web-a", "web", "2", ENDPOINT("1")));
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "3"));
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-z", "web", "3", ENDPOINT("9")));
    pass(w, 1);
    look_up(w);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u9");
}

static void explains_why_a_watched_service_has_no_ready_endpoint(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    watch_all(w);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_string_equal(fake_selector(w->api, SHOP_PODS), "app=web");
    answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->pods_seen, 1);
    assert_non_null(strstr(w->lookup.service->pods_note, "web-1 Pending"));
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    pass(w, 3000);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
}

/* The slices still have the old pod, and not yet the one that replaced it. */
static void a_missing_pod_is_replaced_by_a_listed_one(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    note_missing(w, "1");
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_string_equal(w->gone, "u1 ");
    fake_answer(w->api, SHOP_PODS,
                (const char *const[]){ POD("1", "Running"), POD("2", "Running"), NULL });
    pass(w, 1);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    pass(w, 3000); /* no watch covers this, so it is listed again */
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    answer_one(w, SHOP_PODS, POD("3", "Running"));
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u3");

    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ENDPOINT("3")));
    pass(w, 3000);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u3");
    assert_int_equal(fake_waiting(w->api, SHOP_PODS), 0);
}

/* Neither an outdated slice nor a failed list removes them. */
static void pods_found_by_a_list_stay_until_a_list_lacks_them(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    note_missing(w, "1");
    look_up(w);
    answer_one(w, SHOP_PODS, POD("2", "Running"));
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");

    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ENDPOINT("1")));
    pass(w, 1);
    assert_int_equal(fake_waiting(w->api, SHOP_PODS), 1);
    fake_refuse(w->api, SHOP_PODS, ERR_SERVER, "not now");
    pass(w, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");
    assert_string_equal(w->gone, "u1 ");

    note_missing(w, "2");
    pass(w, 1);
    answer_one(w, SHOP_PODS, POD("3", "Running"));
    look_up(w);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u3");
    assert_string_equal(w->gone, "u1 u2 ");
}

static void answers_without_reasons_where_pods_are_forbidden(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    watch_all(w);
    look_up(w);
    refuse_one(w, SHOP_PODS, ERR_FORBIDDEN);
    assert_int_equal(w->lookup.result, OK);
    assert_null(w->lookup.service->pods_note);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
}

static void a_pod_that_becomes_ready_answers_before_the_reasons(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    watch_all(w);
    look_up(w);
    fake_event(w->api, SLICES, API_ADDED, SLICE("web-a", "web", "1", ""));
    pass(w, 1);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ENDPOINT("1")));
    pass(w, 1);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_int_equal(fake_waiting(w->api, SHOP_PODS), 0);
}

static void an_entry_keeps_the_time_it_was_last_ready(void **state)
{
    struct world *w = *state;

    watch_web(w);
    look_up(w);
    pass(w, 5000);
    uint64_t lost_at = w->sched.now;
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("web-a", "web", "2", ""));
    pass(w, 0);
    look_up(w);
    answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(w->lookup.service->last_ready, lost_at);
}

static void entries_stay_valid_while_the_api_server_is_away(void **state)
{
    struct world *w = *state;
    struct lookup unknown = { .result = ERR_AGAIN };

    watch_web(w);
    fake_broken(w->api, SERVICES, ERR_CONNECT, "away");
    fake_broken(w->api, SLICES, ERR_CONNECT, "away");
    pass(w, 1);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);

    look_up_service(w, &unknown, "new", 0);
    assert_int_equal(unknown.result, ERR_AGAIN);
    refuse_one(w, "/api/v1/namespaces/shop/services/new", ERR_CONNECT);
    assert_int_equal(unknown.result, ERR_CONNECT);
    watch_all(w);
    look_up_service(w, &unknown, "new", 0);
    assert_int_equal(unknown.result, ERR_NOT_FOUND);
    lookup_finish(&unknown);
}

static void another_namespace_than_the_watched_one_is_looked_up(void **state)
{
    struct world *w = *state;

    watches_the_home_namespace_where_the_cluster_is_forbidden(state);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    refuse_one(w, WEB, ERR_FORBIDDEN);
    refuse_one(w, WEB_BY_NAME, ERR_FORBIDDEN);
    assert_int_equal(w->lookup.result, ERR_FORBIDDEN);
    assert_string_equal(w->lookup.missing_verb, "get");
    assert_string_equal(w->lookup.missing_resource, "services");
}

#define SHOP_SERVICES "/api/v1/namespaces/shop/services"
#define SHOP_SLICES WEB_SLICES

/* With Roles instead of a ClusterRole, each namespace is watched once it is requested. */
static void another_namespace_is_watched_after_its_first_look_up(void **state)
{
    struct world *w = *state;

    watches_the_home_namespace_where_the_cluster_is_forbidden(state);
    assert_int_equal(fake_watch_count(w->api), 2);
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_watch_count(w->api), 2);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_false(lookup_is_watched(&w->lookup));
    fake_event(w->api, SHOP_SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_event(w->api, SHOP_SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    fake_live(w->api, SHOP_SERVICES);
    fake_live(w->api, SHOP_SLICES);
    pass(w, 1);
    size_t asked = fake_call_count(w->api);
    pass(w, 10000);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_true(lookup_is_watched(&w->lookup));
    assert_int_equal(fake_call_count(w->api), asked);
    assert_string_equal(catalog_scope(w->catalog), "home");
}

static void namespaces_without_the_service_are_not_watched(void **state)
{
    struct world *w = *state;
    struct lookup l = { 0 };
    char ns[32], path[128];

    watches_the_home_namespace_where_the_cluster_is_forbidden(state);
    for (int i = 0; i < 20; i++) {
        snprintf(ns, sizeof(ns), "mistaken-%d", i);
        snprintf(path, sizeof(path), "/api/v1/namespaces/%s/services/web", ns);
        for (int again = 0; again < 2; again++) {
            catalog_lookup(w->catalog, str_of(ns), STR("web"), 3000, &l, &w->wake);
            if (fake_waiting(w->api, path))
                refuse_one(w, path, ERR_NOT_FOUND);
            assert_int_equal(l.result, ERR_NOT_FOUND);
        }
    }
    lookup_finish(&l);
    assert_int_equal(fake_watch_count(w->api), 2);
}

static void single_namespace_scopes_end_when_the_cluster_may_be_watched(void **state)
{
    struct world *w = *state;

    another_namespace_is_watched_after_its_first_look_up(state);
    fake_broken(w->api, HOME_SLICES, ERR_FORBIDDEN, "no more");
    pass(w, 1);
    pass(w, 15001);
    assert_false(fake_watches(w->api, SHOP_SERVICES));
    assert_true(fake_watches(w->api, SERVICES));
}

/* A service that was deleted in between is in no later list. */
static void single_namespace_scopes_leave_nothing_in_the_cluster_scope(void **state)
{
    struct world *w = *state;

    single_namespace_scopes_end_when_the_cluster_may_be_watched(state);
    fake_live(w->api, SERVICES);
    fake_live(w->api, SLICES);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_WATCH);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
}

/* --- namespaces --- */

static char *const two[] = { (char *)"shop", (char *)"other" };

static void watch_two(struct world *w)
{
    catalog_destroy(w->catalog);
    w->catalog =
        catalog_create(&w->sched, w->api,
                       &(struct catalog_settings){ .keep_ms = 3000,
                                                   .call_ms = 10000,
                                                   .home_ns = "home",
                                                   .namespaces = two,
                                                   .namespace_count = 2,
                                                   .discovery = DISCOVERY_WATCH });
    pass(w, 1);
}

static void only_the_named_namespaces_are_watched(void **state)
{
    struct world *w = *state;
    struct lookup l = { 0 };

    watch_two(w);
    assert_int_equal(fake_watch_count(w->api), 4);
    assert_false(fake_watches(w->api, SERVICES));
    fake_event(w->api, SHOP_SERVICES, API_ADDED, SERVICE("web", "1"));
    fake_event(w->api, SHOP_SLICES, API_ADDED, SLICE("web-a", "web", "1", ENDPOINT("1")));
    fake_live(w->api, SHOP_SERVICES);
    fake_live(w->api, SHOP_SLICES);
    pass(w, 1);
    assert_false(catalog_ready(w->catalog, NULL));
    fake_broken(w->api, "/api/v1/namespaces/other/services", ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_true(catalog_ready(w->catalog, NULL));
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_call_count(w->api), 0);

    catalog_lookup(w->catalog, STR("third"), STR("web"), 0, &l, &w->wake);
    assert_int_equal(l.result, ERR_AGAIN);
    assert_int_equal(fake_watch_count(w->api), 2);
    lookup_finish(&l);
}

static void a_namespace_that_may_not_be_watched_is_looked_up(void **state)
{
    struct world *w = *state;

    watch_two(w);
    fake_broken(w->api, SHOP_SERVICES, ERR_FORBIDDEN, "no");
    pass(w, 1);
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->lookup.result, OK);
    assert_false(lookup_is_watched(&w->lookup));
    pass(w, 5 * 60 * 1000);
    /* it is tried again, since it may be permitted by now */
    assert_true(fake_watches(w->api, SHOP_SERVICES));
}

/* --- lazily --- */

/* The first page announces more services than the limit of 1,000 in the settings. */
static void too_many(struct world *w)
{
    fake_sized(w->api, SERVICES, 1001);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LAZY);
    assert_int_equal(fake_watch_count(w->api), 0);
    assert_true(catalog_ready(w->catalog, NULL));
}

static void a_large_cluster_is_not_watched(void **state)
{
    struct world *w = *state;

    fake_sized(w->api, SERVICES, 1000);
    pass(w, 1);
    assert_true(fake_watches(w->api, SERVICES));
    too_many(w);
}

static void many_endpointslices_are_large_too(void **state)
{
    struct world *w = *state;

    fake_sized(w->api, SLICES, 1001);
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LAZY);
}

/* Beyond max-objects a list is large, which was an error before. */
static void a_list_beyond_the_limits_is_large_too(void **state)
{
    struct world *w = *state;

    fake_broken(w->api, SLICES, ERR_LIMIT, "more objects than max-objects allows");
    pass(w, 1);
    assert_int_equal(catalog_rights(w->catalog), RIGHTS_LAZY);
}

static void look_up_by_slices(struct world *w)
{
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->lookup.result, OK);
}

static void a_service_is_watched_after_its_second_look_up(void **state)
{
    struct world *w = *state;

    too_many(w);
    look_up_by_slices(w);
    assert_int_equal(fake_watch_count(w->api), 0);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_watch_count(w->api), 2);
    fake_event(w->api, WEB_WATCH, API_ADDED, SERVICE("web", "1"));
    fake_live(w->api, WEB_WATCH);
    fake_event(w->api, WEB_SLICES_WATCH, API_ADDED,
               SLICE("web-a", "web", "1", ENDPOINT("1")));
    fake_live(w->api, WEB_SLICES_WATCH);
    pass(w, 1);
    size_t asked = fake_call_count(w->api);
    fake_event(w->api, WEB_SLICES_WATCH, API_MODIFIED,
               SLICE("web-a", "web", "2", ENDPOINT("2")));
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    pass(w, 60000);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");
    assert_true(lookup_is_watched(&w->lookup));
    assert_int_equal(fake_call_count(w->api), asked);
}

static void a_single_watch_ends_when_unused(void **state)
{
    struct world *w = *state;

    a_service_is_watched_after_its_second_look_up(state);
    lookup_finish(&w->lookup);
    pass(w, 540000);
    assert_int_equal(fake_watch_count(w->api), 2);
    pass(w, 120000);
    assert_int_equal(fake_watch_count(w->api), 0);
    /* not u2: it was not deleted, only not watched any more */
    assert_string_equal(w->gone, "u1 ");
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
}

static void fifty_services_are_watched_at_most(void **state)
{
    struct world *w = *state;
    char name[32], path[160], object[512];
    struct lookup l = { 0 };

    too_many(w);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(object, sizeof(object),
                 "{'metadata': {'namespace': 'shop', 'name': '%s'}, 'spec': {"
                 "'type': 'ExternalName', 'externalName': 'x'}}",
                 name);
        snprintf(path, sizeof(path), "/api/v1/namespaces/shop/services/%s", name);
        look_up_service(w, &l, name, UINT64_MAX);
        answer_one(w, path, object);
        look_up_service(w, &l, name, UINT64_MAX);
        assert_int_equal(l.result, OK);
        assert_int_equal(fake_watch_count(w->api), i < 50 ? 2 * (i + 1) : 100);
        pass(w, 1000);
    }
    snprintf(path, sizeof(path),
             "/api/v1/namespaces/shop/services?fieldSelector="
             "metadata.name%%3Ds9");
    assert_false(fake_watches(w->api, path));
    snprintf(path, sizeof(path),
             "/api/v1/namespaces/shop/services?fieldSelector="
             "metadata.name%%3Ds10");
    assert_true(fake_watches(w->api, path));
    lookup_finish(&l);
}

static void look_up_twice(struct world *w, int number)
{
    char name[32], path[160], object[512];
    struct lookup l = { 0 };

    snprintf(name, sizeof(name), "s%d", number);
    snprintf(object, sizeof(object),
             "{'metadata': {'namespace': 'shop', 'name': '%s'}, 'spec': {"
             "'type': 'ExternalName', 'externalName': 'x'}}",
             name);
    snprintf(path, sizeof(path), "/api/v1/namespaces/shop/services/%s", name);
    look_up_service(w, &l, name, UINT64_MAX);
    if (fake_waiting(w->api, path))
        answer_one(w, path, object);
    look_up_service(w, &l, name, UINT64_MAX);
    assert_int_equal(l.result, OK);
    lookup_finish(&l);
}

/* Otherwise each request would open and close two watches, which costs more than
 * look-ups. */
static void services_in_use_make_no_room_for_others(void **state)
{
    struct world *w = *state;
    const char *first = "/api/v1/namespaces/shop/services?fieldSelector="
                        "metadata.name%3Ds0";
    const char *last = "/api/v1/namespaces/shop/services?fieldSelector="
                       "metadata.name%3Ds50";

    too_many(w);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 51; i++)
            look_up_twice(w, i);
    assert_true(fake_watches(w->api, first));
    assert_false(fake_watches(w->api, last));
    pass(w, 20000);
    look_up_twice(w, 50);
    assert_false(fake_watches(w->api, first));
    assert_true(fake_watches(w->api, last));
}

static void a_service_that_may_not_be_watched_singly_is_looked_up(void **state)
{
    struct world *w = *state;

    too_many(w);
    look_up_by_slices(w);
    look_up(w);
    fake_broken(w->api, WEB_WATCH, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_int_equal(fake_watch_count(w->api), 0);
    look_up(w);
    assert_int_equal(fake_watch_count(w->api), 0);
    pass(w, 5 * 60 * 1000 + 1);
    look_up_by_slices(w);
    look_up(w);
    assert_int_equal(fake_watch_count(w->api), 2);
}

static void a_single_watch_takes_endpoints_where_slices_are_forbidden(void **state)
{
    struct world *w = *state;

    too_many(w);
    look_up_by_slices(w);
    look_up(w);
    fake_broken(w->api, WEB_SLICES_WATCH, ERR_FORBIDDEN, "no");
    pass(w, 1);
    assert_false(fake_watches(w->api, WEB_SLICES_WATCH));
    assert_true(fake_watches(w->api, "/api/v1/namespaces/shop/endpoints?fieldSelector="
                                     "metadata.name%3Dweb"));
}

/* --- large services --- */

/* A slice with `count` pods; `v` is its version and part of the first pod's UID. */
static void send_large_slice(struct world *w, int v, int count)
{
    AUTO_FREE char *endpoints = xstrdup("");

    for (int i = 0; i < count; i++) {
        char *more = xasprintf("%s%s{'targetRef': {'kind': 'Pod', 'name': 'p%d',"
                               " 'uid': 'u%d-%d'}}",
                               endpoints, i ? "," : "", i, i, i ? 0 : v);
        free(endpoints);
        endpoints = more;
    }
    AUTO_FREE char *text = xasprintf(SLICE("web-a", "web", "%d", "%s"), v, endpoints);
    fake_event(w->api, SLICES, API_MODIFIED, text);
    pass(w, 1);
}

/* The UID of pod p0, wherever in the entry it is. */
static const char *first_uid(const struct lookup *l)
{
    for (size_t i = 0; i < l->service->endpoint_count; i++)
        if (strcmp(l->service->endpoints[i]->pod, "p0") == 0)
            return l->service->endpoints[i]->uid;
    return "";
}

static void an_entry_of_many_endpoints_is_not_built_for_each_change(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    send_large_slice(w, 1, 1000);
    watch_all(w);
    look_up(w);
    assert_string_equal(first_uid(&w->lookup), "u0-1");
    pass(w, 1000);
    send_large_slice(w, 2, 1000);
    /* reported at once, as the first change for a while */
    assert_string_equal(w->gone, "u0-1 ");
    send_large_slice(w, 3, 1000);
    send_large_slice(w, 4, 1000);
    look_up(w);
    assert_string_equal(first_uid(&w->lookup), "u0-2");
    pass(w, 100);
    assert_string_equal(w->gone, "u0-1 u0-2 ");
    look_up(w);
    assert_string_equal(first_uid(&w->lookup), "u0-4");
}

static void count_each(void *owner, const struct service *s)
{
    char *last = owner;

    assert_true(strcmp(last, s->name) < 0);
    strcpy(last, s->name);
    assert_int_equal(s->endpoint_count, 1);
}

static void holds_a_thousand_services(void **state)
{
    struct world *w = *state;
    char text[1024], last[64] = "";

    for (int i = 999; i >= 0; i--) {
        snprintf(text, sizeof(text),
                 "{'metadata': {'namespace': 'shop', 'name': 's%04d'}, 'spec': {}}", i);
        fake_event(w->api, SERVICES, API_ADDED, text);
        snprintf(text, sizeof(text),
                 "{'metadata': {'namespace': 'shop', 'name': 's%04d-x', 'labels':"
                 " {'kubernetes.io/service-name': 's%04d'}}, 'endpoints': [{'targetRef':"
                 " {'kind': 'Pod', 'name': 'p%d', 'uid': 'u%d'}}]}",
                 i, i, i, i);
        fake_event(w->api, SLICES, API_ADDED, text);
    }
    watch_all(w);
    assert_int_equal(catalog_count(w->catalog), 1000);
    catalog_each(w->catalog, count_each, last);
    assert_string_equal(last, "s0999");
    look_up_service(w, &w->lookup, "s0500", 0);
    assert_int_equal(w->lookup.result, OK);
}

static void an_unreadable_object_is_skipped(void **state)
{
    struct world *w = *state;

    fake_event(w->api, SERVICES, API_ADDED, "{'metadata': {'name': []}}");
    fake_event(w->api, SLICES, API_ADDED, "{'metadata': {'name': 'x'}, 'endpoints': 7}");
    fake_event(w->api, SLICES, API_ADDED, "{'metadata': {'name': 'nobodys'}}");
    watch_web(w);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(catalog_count(w->catalog), 1);
}

/* --- looked up --- */

static void pods_are_looked_up_by_the_selector(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    refuse_one(w, WEB_SLICES, ERR_FORBIDDEN);
    assert_string_equal(fake_selector(w->api, SHOP_PODS), "app=web");
    refuse_one(w, WEB_ENDPOINTS, ERR_FORBIDDEN);
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_int_equal(catalog_count(w->catalog), 1);
}

static void forbidden_slices_are_not_requested_again(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    size_t asked = fake_call_count(w->api);
    pass(w, 10000);
    look_up(w);
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_call_count(w->api), asked + 2);
}

static void a_look_up_is_cached(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    size_t asked = fake_call_count(w->api);
    pass(w, 1400);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_call_count(w->api), asked);
    look_up_service(w, &w->lookup, "web", 0);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    assert_int_equal(fake_call_count(w->api), asked + 1);
}

static void a_name_in_use_is_refreshed_before_it_expires(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    w->woken = 0;
    pass(w, 2000);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    assert_int_equal(w->woken, 0);
    pass(w, 2000);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    refuse_one(w, WEB, ERR_CONNECT);
    assert_int_equal(w->woken, 0);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(fake_waiting(w->api, WEB), 0);
    pass(w, 3000);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
}

static void a_later_look_up_reports_deleted_pods(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    w->woken = 0;
    struct lookup other = { .result = ERR_AGAIN };
    look_up_service(w, &other, "web", 0);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, SHOP_PODS, POD("2", "Running"));
    assert_int_equal(other.result, OK);
    assert_int_equal(w->woken, 1);
    assert_string_equal(w->gone, "u1 ");
    lookup_finish(&other);
}

static void a_failed_look_up_removes_no_pod(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    look_up_service(w, &w->lookup, "web", 0);
    refuse_one(w, WEB, ERR_CONNECT);
    assert_int_equal(w->lookup.result, ERR_CONNECT);
    assert_string_equal(w->gone, "");
    struct api_error e;
    assert_true(catalog_ready(w->catalog, &e));
    assert_int_equal(e.code, ERR_CONNECT);
}

static void concurrent_look_ups_share_one_call(void **state)
{
    struct world *w = *state;
    struct lookup many[5] = { 0 };

    only_look_up(w);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        look_up_service(w, &many[i], "web", 0);
    assert_int_equal(fake_waiting(w->api, WEB), 1);
    lookup_finish(&many[2]);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        assert_int_equal(many[i].result, i == 2 ? ERR_CANCELLED : OK);
        lookup_finish(&many[i]);
    }
}

static void a_refusal_is_cached_for_a_second(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    refuse_one(w, WEB, ERR_NOT_FOUND);
    size_t asked = fake_call_count(w->api);
    pass(w, 900);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    assert_int_equal(fake_call_count(w->api), asked);
    pass(w, 101);
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
}

static void a_refused_call_names_the_missing_right(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    refuse_one(w, WEB, ERR_FORBIDDEN);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    refuse_one(w, WEB_BY_NAME, ERR_FORBIDDEN);
    assert_int_equal(w->lookup.result, ERR_FORBIDDEN);
    assert_string_equal(w->lookup.missing_verb, "get");
    assert_string_equal(w->lookup.missing_resource, "services");
    assert_string_equal(w->lookup.error.why.text, "said so");

    pass(w, 1001);
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    refuse_one(w, WEB_SLICES, ERR_FORBIDDEN);
    refuse_one(w, WEB_ENDPOINTS, ERR_FORBIDDEN);
    refuse_one(w, SHOP_PODS, ERR_FORBIDDEN);
    assert_non_null(strstr(w->lookup.error.why.text, "may not be read either"));
    assert_string_equal(w->lookup.missing_verb, "list");
    assert_string_equal(w->lookup.missing_resource, "pods");
}

static void a_service_without_selector_is_found(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    answer_one(w, WEB, "{'metadata': {'namespace': 'shop', 'name': 'web'}, 'spec': {}}");
    refuse_one(w, WEB_SLICES, ERR_FORBIDDEN);
    refuse_one(w, WEB_ENDPOINTS, ERR_FORBIDDEN);
    assert_int_equal(w->lookup.result, OK);
    assert_false(w->lookup.service->has_selector);
}

static void count_gone(void *owner, const char *key)
{
    (void)key;
    ++*(size_t *)owner;
}

/* Pods that stay are not counted again at each change, and those that go are reported. */
static void each_pod_of_a_large_service_is_reported_gone_once(void **state)
{
    struct world *w = *state;
    size_t gone = 0;

    catalog_on_gone(w->catalog, count_gone, &gone);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("web", "1"));
    send_large_slice(w, 1, 300);
    watch_all(w);
    look_up(w);
    for (int v = 2; v < 10; v++) {
        pass(w, 1000);
        send_large_slice(w, v, 300);
    }
    assert_int_equal(gone, 8);
    pass(w, 1000);
    send_large_slice(w, 10, 20); /* the service is small now */
    assert_int_equal(gone, 8 + 281);
    pass(w, 1000);
    send_large_slice(w, 11, 300);
    pass(w, 1000);
    fake_event(w->api, SLICES, API_DELETED,
               "{'metadata': {'namespace': 'shop', 'name': 'web-a'}}");
    pass(w, 1000);
    if (fake_waiting(w->api, SHOP_PODS))
        answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(gone, 8 + 281 + 1 + 300);
}

static void a_service_that_may_only_be_listed_is_listed_by_its_name(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    refuse_one(w, WEB, ERR_FORBIDDEN);
    answer_one(w, WEB_BY_NAME, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->lookup.result, OK);
    look_up_service(w, &w->lookup, "web", 0);
    refuse_one(w, WEB, ERR_FORBIDDEN);
    fake_answer(w->api, WEB_BY_NAME, (const char *const[]){ NULL });
    pass(w, 1);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
}

/* The role names this service: `get` on services and endpoints with resourceNames. */
static void endpoints_serve_where_slices_and_pods_may_not_be_read(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    refuse_one(w, WEB_SLICES, ERR_FORBIDDEN);
    answer_one(w, WEB_ENDPOINTS, WEB_ENDPOINTS_OBJECT("1"));
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->pod, "web-1");
    assert_int_equal(fake_waiting(w->api, SHOP_PODS), 0);

    look_up_service(w, &w->lookup, "web", 0);
    answer_one(w, WEB, SERVICE("web", "1"));
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
    answer_one(w, WEB_ENDPOINTS, WEB_ENDPOINTS_OBJECT("2"));
    assert_string_equal(w->gone, "u1 ");
}

static void an_external_name_needs_no_more_calls(void **state)
{
    struct world *w = *state;

    look_up(w);
    answer_one(w, WEB,
               "{'metadata': {'namespace': 'shop', 'name': 'web'},"
               " 'spec': {'type': 'ExternalName', 'externalName': 'example.com'}}");
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->kind, SERVICE_EXTERNAL);
    assert_int_equal(fake_waiting(w->api, WEB_SLICES), 0);
}

static void an_answer_that_is_no_service_is_an_error(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up(w);
    answer_one(w, WEB, "{'metadata': {'name': 7}}");
    assert_int_equal(w->lookup.result, ERR_PROTO);
}

static void slices_without_a_ready_endpoint_are_explained(void **state)
{
    struct world *w = *state;

    look_up(w);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ""));
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(w->lookup.result, OK);
    assert_non_null(strstr(w->lookup.service->pods_note, "none is running"));
}

static void a_missing_pod_is_not_looked_up_again(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u1");
    note_missing(w, "1");
    look_up(w);
    assert_int_equal(w->lookup.result, ERR_AGAIN);
    answer_one(w, WEB, SERVICE("web", "1"));
    fake_answer(w->api, SHOP_PODS,
                (const char *const[]){ POD("1", "Running"), POD("2", "Running"), NULL });
    pass(w, 1);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");
    assert_string_equal(w->gone, "u1 ");
}

static void unused_names_are_forgotten(void **state)
{
    struct world *w = *state;

    only_look_up(w);
    look_up_web(w);
    lookup_finish(&w->lookup);
    pass(w, 590000);
    assert_int_equal(catalog_count(w->catalog), 1);
    pass(w, 70000);
    assert_int_equal(catalog_count(w->catalog), 0);
    assert_string_equal(w->gone, "");
}

static void at_most_ten_thousand_names_are_kept(void **state)
{
    struct world *w = *state;
    static struct lookup many[10000];
    struct lookup one = { .result = ERR_AGAIN };
    char name[32], path[128];

    only_look_up(w);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        snprintf(path, sizeof(path), "/api/v1/namespaces/shop/services/%s", name);
        look_up_service(w, &many[i], name, 0);
        refuse_one(w, path, ERR_NOT_FOUND);
    }
    look_up_service(w, &one, "one-more", 0);
    assert_int_equal(one.result, ERR_LIMIT);
    lookup_finish(&many[77]);
    look_up_service(w, &one, "one-more", 0);
    assert_int_equal(one.result, ERR_AGAIN);
    lookup_finish(&one);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        lookup_finish(&many[i]);
}

/* The name that needs the room may have been reported by that watch. */
static void a_name_that_is_watched_singly_is_not_evicted(void **state)
{
    struct world *w = *state;
    struct lookup one = { 0 };
    char name[32], path[128];

    too_many(w);
    look_up_by_slices(w);
    look_up(w);
    lookup_finish(&w->lookup);
    assert_true(fake_watches(w->api, WEB_WATCH));
    for (size_t i = 0; i < 10001; i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        snprintf(path, sizeof(path), "/api/v1/namespaces/shop/services/%s", name);
        look_up_service(w, &one, name, 0);
        refuse_one(w, path, ERR_NOT_FOUND);
    }
    lookup_finish(&one);
    assert_true(fake_watches(w->api, WEB_WATCH));
}

static void an_impossible_name_is_not_looked_up(void **state)
{
    struct world *w = *state;
    static const char *const names[] = { "", "..", "a/b", "a?b", "A", "a b", "a%2fb" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        look_up_service(w, &w->lookup, names[i], 0);
        assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    }
    assert_int_equal(fake_call_count(w->api), 0);
}

static void a_lookup_may_be_cancelled_at_any_time(void **state)
{
    struct world *w = *state;
    struct lookup zeroed = { 0 };

    lookup_finish(&zeroed);
    look_up(w);
    lookup_finish(&w->lookup);
    lookup_finish(&w->lookup);
    answer_one(w, WEB, SERVICE("web", "1"));
    answer_one(w, WEB_SLICES, SLICE("web-a", "web", "1", ENDPOINT("1")));
    assert_int_equal(w->woken, 0);
    look_up(w);
    assert_int_equal(w->lookup.result, OK);
}

static void the_catalog_may_be_destroyed_before_its_lookups(void **state)
{
    struct world *w = *state;
    struct lookup l = { .result = ERR_AGAIN };
    struct catalog *c = catalog_create(
        &w->sched, w->api,
        &(struct catalog_settings){
            .keep_ms = 1, .call_ms = 10000, .discovery = DISCOVERY_WATCH });

    catalog_lookup(c, STR("shop"), STR("web"), 0, &l, &w->wake);
    catalog_destroy(c);
    catalog_destroy(NULL);
    assert_int_equal(l.result, ERR_CANCELLED);
    lookup_finish(&l);
}

/* --- pods --- */

/* A replaced cluster may exist for days, because it still has connections. */
static void a_stopped_catalog_has_no_watch_and_no_entry(void **state)
{
    struct world *w = *state;
    struct lookup waits = { 0 };

    watch_web(w);
    look_up(w);
    look_up_service(w, &waits, "other", 0);
    catalog_stop(w->catalog);
    pass(w, 1000);
    assert_int_equal(catalog_count(w->catalog), 0);
    assert_int_equal(fake_watch_count(w->api), 0);
    assert_int_equal(w->lookup.result, OK);
    assert_string_equal(w->lookup.service->endpoints[0]->pod, "web-1");
    assert_string_equal(w->gone, "");
    lookup_finish(&waits);
    pass(w, 1000000);
}

static void looks_up_a_pod_by_name(void **state)
{
    struct world *w = *state;

    watch_all(w);
    catalog_lookup_pod(w->catalog, STR("shop"), STR("web-1"), 3000, &w->lookup, &w->wake);
    answer_one(w, SHOP_PODS "/web-1", POD("1", "Running"));
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->kind, SERVICE_POD);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u1");

    catalog_lookup_pod(w->catalog, STR("shop"), STR("web-9"), 3000, &w->lookup, &w->wake);
    refuse_one(w, SHOP_PODS "/web-9", ERR_FORBIDDEN);
    refuse_one(w, SHOP_PODS "?fieldSelector=metadata.name%3Dweb-9", ERR_FORBIDDEN);
    assert_string_equal(w->lookup.missing_verb, "get");
    assert_string_equal(w->lookup.missing_resource, "pods");
}

static void looks_up_a_pod_by_address(void **state)
{
    struct world *w = *state;

    catalog_lookup_pod(w->catalog, STR("shop"), STR("10.1.0.2"), 3000, &w->lookup,
                       &w->wake);
    assert_null(fake_selector(w->api, SHOP_PODS));
    fake_answer(w->api, SHOP_PODS,
                (const char *const[]){ POD("1", "Running"), POD("2", "Running"), NULL });
    pass(w, 1);
    assert_string_equal(w->lookup.service->endpoints[0]->pod, "web-2");

    catalog_lookup_pod(w->catalog, STR("shop"), STR("fd00::9"), 3000, &w->lookup,
                       &w->wake);
    answer_one(w, SHOP_PODS, POD("1", "Running"));
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
    assert_string_equal(w->lookup.error.why.text, "pods \"fd00::9\" not found");
}

static void a_replaced_pod_is_gone(void **state)
{
    struct world *w = *state;

    catalog_lookup_pod(w->catalog, STR("shop"), STR("web-1"), 0, &w->lookup, &w->wake);
    answer_one(w, SHOP_PODS "/web-1", POD("1", "Running"));
    catalog_lookup_pod(w->catalog, STR("shop"), STR("web-1"), 0, &w->lookup, &w->wake);
    refuse_one(w, SHOP_PODS "/web-1", ERR_NOT_FOUND);
    assert_string_equal(w->gone, "u1 ");
}

/* --- Deployments --- */

#define DEPLOYMENT "/apis/apps/v1/namespaces/shop/deployments/web"
#define DEPLOYMENT_OBJECT                                                                \
    "{'metadata': {'namespace': 'shop', 'name': 'web'},"                                 \
    " 'spec': {'selector': {'matchLabels': {'app': 'web'}}, 'template': {'spec': "       \
    "  {'containers': [{'ports': [{'name': 'http', 'containerPort': 8080}]}]}}}}"
/* A pod that a ReplicaSet owns. */
#define MADE(n, replica_set)                                                             \
    "{'metadata': {'namespace': 'shop', 'name': 'web-" n "', 'uid': 'u" n "',"           \
    "  'labels': {'pod-template-hash': '5d9'}, 'ownerReferences': [{'kind': "            \
    "  'ReplicaSet', 'controller': true, 'name': '" replica_set "'}]},"                  \
    " 'spec': {'containers': [{'ports': [{'name': 'http', 'containerPort': 8080}]}]},"   \
    " 'status': {'phase': 'Running', 'podIP': '10.1.0." n "',"                           \
    "            'conditions': [{'type': 'Ready', 'status': 'True'}]}}"

static void look_up_deployment(struct world *w)
{
    catalog_lookup_deployment(w->catalog, STR("shop"), STR("web"), 0, &w->lookup,
                              &w->wake);
}

static void a_deployment_is_looked_up_as_the_pods_of_its_selector(void **state)
{
    struct world *w = *state;

    watch_all(w);
    look_up_deployment(w);
    answer_one(w, DEPLOYMENT, DEPLOYMENT_OBJECT);
    assert_string_equal(fake_selector(w->api, SHOP_PODS), "app=web");
    answer_one(w, SHOP_PODS, MADE("1", "web-5d9"));
    assert_int_equal(w->lookup.result, OK);
    const struct service *s = w->lookup.service;
    assert_int_equal(s->kind, SERVICE_DEPLOYMENT);
    assert_string_equal(s->endpoints[0]->uid, "u1");
    assert_int_equal(endpoint_port(s, s->endpoints[0], 0), 8080);

    look_up(w); /* a service of the same name has its own record */
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
}

static void a_deployment_that_does_not_exist_is_not_found(void **state)
{
    struct world *w = *state;

    look_up_deployment(w);
    refuse_one(w, DEPLOYMENT, ERR_NOT_FOUND);
    assert_int_equal(w->lookup.result, ERR_NOT_FOUND);
}

/* If Deployments may not be read, the owner of each pod decides. */
static void the_pods_of_an_unreadable_deployment_are_found_by_owner(void **state)
{
    struct world *w = *state;

    look_up_deployment(w);
    refuse_one(w, DEPLOYMENT, ERR_FORBIDDEN);
    assert_null(fake_selector(w->api, SHOP_PODS));
    fake_answer(w->api, SHOP_PODS,
                (const char *const[]){ MADE("1", "web-admin-5d9"), MADE("2", "web-5d9"),
                                       POD("3", "Running"), MADE("4", "web-7f4"), NULL });
    pass(w, 1);
    assert_int_equal(w->lookup.result, OK);
    assert_int_equal(w->lookup.service->endpoint_count, 1);
    assert_string_equal(w->lookup.service->endpoints[0]->uid, "u2");
    assert_int_equal(w->lookup.service->ports[0].target, 0);
    assert_string_equal(w->lookup.service->ports[0].target_name, "http");

    look_up_deployment(w);
    refuse_one(w, DEPLOYMENT, ERR_FORBIDDEN);
    answer_one(w, SHOP_PODS, POD("3", "Running"));
    assert_int_equal(w->lookup.result, ERR_FORBIDDEN);
    assert_string_equal(w->lookup.missing_verb, "get");
    assert_string_equal(w->lookup.missing_resource, "deployments");
}

static void selectors_of_deployments_become_queries(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *selector, *query; /* NULL: refused */
    } cases[] = {
        { "{'matchLabels': {'a': 'b', 'c/d': ''}}", "a=b,c/d=" },
        { "{'matchExpressions': [{'key': 'a', 'operator': 'In', 'values': ['b', 'c']}]}",
          "a in (b,c)" },
        { "{'matchLabels': {'x': 'y'}, 'matchExpressions': [{'key': 'a', 'operator':"
          " 'NotIn', 'values': ['b']}, {'key': 'k', 'operator': 'Exists'}, {'key': 'l',"
          " 'operator': 'DoesNotExist'}]}",
          "x=y,a notin (b),k,!l" },
        { "{}", NULL },
        { "{'matchLabels': {}}", NULL },
        { "{'matchLabels': {'a': 'b,c=d'}}", NULL },
        { "{'matchLabels': {'a&limit': 'b'}}", NULL },
        { "{'matchLabels': {'a': 7}}", NULL },
        { "{'matchExpressions': [{'key': 'a', 'operator': 'Like', 'values': ['b']}]}",
          NULL },
        { "{'matchExpressions': [{'operator': 'Exists'}]}", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *object = xasprintf("{'metadata': {'namespace': 'shop', 'name': "
                                           "'web'}, 'spec': {'selector': %s}}",
                                           cases[i].selector);
        look_up_deployment(w);
        answer_one(w, DEPLOYMENT, object);
        if (!cases[i].query) {
            assert_int_equal(w->lookup.result, ERR_PROTO);
            pass(w, 10000);
            continue;
        }
        assert_string_equal(fake_selector(w->api, SHOP_PODS), cases[i].query);
        fake_answer(w->api, SHOP_PODS, (const char *const[]){ NULL });
        pass(w, 1);
        assert_int_equal(w->lookup.service->endpoint_count, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- entries that are not used --- */

#define MANY 1200
#define KEPT 500 /* ENTRIES_MAX of records.c */

static void watch_many(struct world *w)
{
    for (size_t i = 0; i < MANY; i++) {
        char text[512], name[16];
        snprintf(name, sizeof(name), "s%zu", i);
        snprintf(text, sizeof(text),
                 "{'metadata': {'namespace': 'shop', 'name': '%s'},"
                 " 'spec': {'selector': {'app': 'x'}, 'ports': [{'port': 80}]}}",
                 name);
        fake_event(w->api, SERVICES, API_ADDED, text);
        snprintf(text, sizeof(text),
                 "{'metadata': {'namespace': 'shop', 'name': '%s-a',"
                 "  'labels': {'kubernetes.io/service-name': '%s'}},"
                 " 'ports': [{'port': 8080}], 'endpoints': [" ENDPOINT("1") "]}",
                 name, name);
        fake_event(w->api, SLICES, API_ADDED, text);
    }
    watch_all(w);
}

static void look_up_number(struct world *w, struct lookup *l, size_t i)
{
    char name[16];

    snprintf(name, sizeof(name), "s%zu", i);
    look_up_service(w, l, name, 3000);
    assert_int_equal(l->result, OK);
    assert_int_equal(l->service->endpoint_count, 1);
}

static size_t entries(const struct world *w)
{
    return w->catalog->built.count;
}

static void entries_that_no_look_up_holds_are_limited(void **state)
{
    struct world *w = *state;
    struct lookup held[3] = { 0 };

    watch_many(w);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        look_up_number(w, &held[i], i);
    const struct service *first = held[0].service;
    for (size_t i = 3; i < MANY; i++)
        look_up_number(w, &w->lookup, i);
    assert_int_equal(entries(w), KEPT);
    assert_string_equal(w->gone, "");
    look_up_number(w, &w->lookup, 0);
    assert_ptr_equal(w->lookup.service, first); /* it was in use */
    look_up_number(w, &w->lookup, 4);           /* it was dropped */
    pass(w, 1);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        lookup_finish(&held[i]);
}

static void count_one(void *owner, const struct service *s)
{
    size_t *count = owner;

    assert_int_equal(s->endpoint_count, 1);
    (*count)++;
}

static void count_all(void *owner, const struct service *s)
{
    size_t *count = owner;

    (void)s;
    (*count)++;
}

static void entries_of_a_list_of_all_are_limited(void **state)
{
    struct world *w = *state;
    size_t count = 0;

    watch_many(w);
    catalog_each(w->catalog, count_one, &count);
    assert_int_equal(count, MANY);
    assert_int_equal(entries(w), KEPT);
    catalog_each(w->catalog, count_one, &count);
    assert_int_equal(count, 2 * MANY);
}

static void what_is_left_out_is_logged_once_for_entries_that_are_dropped(void **state)
{
    struct world *w = *state;
    const size_t ports = 20001; /* PORTS_MAX + 1 */
    const char *words = "more ports or endpoints than are served";
    AUTO_FREE char *text = xmalloc(ports * 20 + 200);
    size_t count = 0;
    int len = sprintf(text, "{'metadata': {'namespace': 'shop', 'name': 'large'},"
                            " 'spec': {'selector': {'app': 'x'}, 'ports': [");

    for (size_t i = 1; i <= ports; i++)
        len += sprintf(text + len, "%s{'port': %zu}", i > 1 ? "," : "", i);
    strcpy(text + len, "]}}");
    fake_event(w->api, SERVICES, API_ADDED, text);
    watch_many(w);
    captured_log_begin();
    for (int i = 0; i < 3; i++)
        catalog_each(w->catalog, count_all, &count);
    assert_int_equal(count, 3 * (MANY + 1));
    const char *first = strstr(captured_log(), words);
    assert_non_null(first);
    assert_null(strstr(first + 1, words));
    captured_log_end();
}

/* Its slices change while there is no entry; the next look-up has them. */
static void an_entry_that_was_dropped_is_built_from_new_objects(void **state)
{
    struct world *w = *state;

    watch_many(w);
    look_up_number(w, &w->lookup, 0);
    for (size_t i = 1; i < MANY; i++)
        look_up_number(w, &w->lookup, i);
    fake_event(w->api, SLICES, API_MODIFIED,
               SLICE("s0-a", "s0", "2", ENDPOINT("1") "," ENDPOINT("2")));
    pass(w, 1);
    assert_int_equal(entries(w), KEPT);
    look_up_service(w, &w->lookup, "s0", 3000);
    assert_int_equal(w->lookup.service->endpoint_count, 2);
}

static void look_up_all_others(struct world *w)
{
    for (size_t i = 1; i < MANY; i++)
        look_up_number(w, &w->lookup, i);
    lookup_finish(&w->lookup);
}

/* No look-up holds it while its connections are used. */
static void an_entry_that_connections_were_made_from_stays(void **state)
{
    struct world *w = *state;

    watch_many(w);
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("s0-a", "s0", "2", ENDPOINT("2")));
    look_up_service(w, &w->lookup, "s0", 3000);
    lookup_keep(&w->lookup);
    lookup_keep(&w->lookup);
    lookup_finish(&w->lookup);
    lookup_keep(&w->lookup); /* of no effect */
    pass(w, 5000);
    look_up_all_others(w);
    assert_int_equal(entries(w), KEPT);

    uint64_t lost_at = w->sched.now;
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("s0-a", "s0", "3", ""));
    pass(w, 0);
    assert_string_equal(w->gone, "u2 ");
    look_up_service(w, &w->lookup, "s0", 3000);
    answer_one(w, SHOP_PODS, POD("1", "Pending"));
    assert_int_equal(w->lookup.service->last_ready, lost_at);
}

static void an_entry_is_kept_until_its_service_is_gone(void **state)
{
    struct world *w = *state;
    const char *s0 = "{'metadata': {'namespace': 'shop', 'name': 's0'},"
                     " 'spec': {'selector': {'app': 'x'}, 'ports': [{'port': 80}]}}";

    watch_many(w);
    look_up_number(w, &w->lookup, 0);
    lookup_keep(&w->lookup);
    assert_int_equal(entries(w), 0);
    lookup_finish(&w->lookup);
    fake_event(w->api, SERVICES, API_DELETED, s0);
    pass(w, 1);
    assert_string_equal(w->gone, "u1 ");
    fake_event(w->api, SERVICES, API_ADDED, s0);
    pass(w, 1);
    assert_int_equal(entries(w), 1);
    look_up_all_others(w);
    assert_int_equal(entries(w), KEPT);
    w->gone[0] = '\0';
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("s0-a", "s0", "3", ENDPOINT("2")));
    pass(w, 1);
    assert_string_equal(w->gone, "");
}

static struct world *listing_world;

/* As in a scan of pinned names: an address closes for another, a client waits there, and its
 * service is looked up. */
static void look_up_another(void *owner, const struct service *s)
{
    size_t *count = owner;
    struct lookup other = { 0 };

    look_up_number(listing_world, &other, MANY - 1);
    lookup_finish(&other);
    assert_int_equal(s->endpoint_count, 1);
    (*count)++;
}

static bool is_first(void *owner, const char *ns, const char *name)
{
    (void)owner, (void)ns;
    return strcmp(name, "s0") == 0;
}

static void an_entry_that_is_dropped_while_it_is_listed_stays_valid(void **state)
{
    struct world *w = listing_world = *state;
    size_t count = 0;

    watch_many(w);
    for (size_t i = 0; i < KEPT; i++)
        look_up_number(w, &w->lookup, i);
    lookup_finish(&w->lookup);
    catalog_each_wanted(w->catalog, is_first, look_up_another, &count);
    assert_int_equal(count, 1);
}

#define NAMES_MAX 10000 /* RECORDS_MAX of records.c */

static void look_up_too_many(void *owner, const struct service *s)
{
    struct world *w = listing_world;
    struct lookup *many = owner;
    char name[16], path[128];

    for (size_t i = 0; i < NAMES_MAX - 1; i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        snprintf(path, sizeof(path), "/api/v1/namespaces/shop/services/%s", name);
        look_up_service(w, &many[i], name, 0);
        refuse_one(w, path, ERR_NOT_FOUND);
    }
    look_up_service(w, &many[NAMES_MAX - 1], "one-more", 0);
    assert_int_equal(many[NAMES_MAX - 1].result, ERR_LIMIT);
    assert_string_equal(s->name, "web");
}

static void a_name_that_is_listed_makes_no_room_for_others(void **state)
{
    struct world *w = listing_world = *state;
    AUTO_FREE struct lookup *many = xcalloc(NAMES_MAX, sizeof(*many));

    only_look_up(w);
    look_up_web(w);
    lookup_finish(&w->lookup);
    catalog_each(w->catalog, look_up_too_many, many);
    look_up_service(w, &w->lookup, "one-more", 3000);
    assert_int_equal(w->lookup.result, ERR_AGAIN); /* now it makes room */
    for (size_t i = 0; i < NAMES_MAX; i++)
        lookup_finish(&many[i]);
}

#define LARGE 300

static char *large_slice(void)
{
    char *all = xstrdup("");

    for (size_t i = 0; i < LARGE; i++) {
        AUTO_FREE char *before = all;
        all = xasprintf("%s%s{'targetRef': {'kind': 'Pod', 'namespace': 'shop',"
                        " 'name': 'p%zu', 'uid': 'u%zu'}}",
                        before, i ? "," : "", i, i);
    }
    AUTO_FREE char *endpoints = all;
    return xasprintf(SLICE("big-a", "big", "1", "%s"), endpoints);
}

/* Its rebuild is late, and all other entries are in use: it is the first that could go. */
static void an_entry_that_was_just_built_is_not_dropped(void **state)
{
    struct world *w = *state;
    struct lookup held[KEPT + 20] = { 0 };
    AUTO_FREE char *slice = large_slice();

    watch_many(w);
    fake_event(w->api, SERVICES, API_ADDED, SERVICE("big", "1"));
    fake_event(w->api, SLICES, API_ADDED, slice);
    pass(w, 1);
    look_up_service(w, &w->lookup, "big", 3000);
    lookup_finish(&w->lookup);
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("big-a", "big", "2", ENDPOINT("9")));
    pass(w, 0);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        look_up_number(w, &held[i], i);
    for (size_t i = 0; i < ARRAY_LEN(held); i++) /* now it is the first of the queue */
        look_up_number(w, &held[i], i);
    w->gone[0] = '\0';
    log_set_level(LEVEL_DEBUG);
    pass(w, 1000);
    log_set_level(LEVEL_ERROR);
    assert_true(strlen(w->gone) > LARGE);
    w->gone[0] = '\0';
    fake_event(w->api, SLICES, API_MODIFIED, SLICE("big-a", "big", "3", ENDPOINT("2")));
    pass(w, 1000);
    assert_string_equal(w->gone, "u9 ");
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        lookup_finish(&held[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks_up_where_neither_slices_nor_endpoints_may_be_watched),
        TEST(another_namespace_is_watched_after_its_first_look_up),
        TEST(namespaces_without_the_service_are_not_watched),
        TEST(single_namespace_scopes_end_when_the_cluster_may_be_watched),
        TEST(single_namespace_scopes_leave_nothing_in_the_cluster_scope),
        TEST(only_the_named_namespaces_are_watched),
        TEST(a_namespace_that_may_not_be_watched_is_looked_up),
        TEST(a_large_cluster_is_not_watched),
        TEST(many_endpointslices_are_large_too),
        TEST(a_list_beyond_the_limits_is_large_too),
        TEST(a_service_is_watched_after_its_second_look_up),
        TEST(a_single_watch_ends_when_unused),
        TEST(fifty_services_are_watched_at_most),
        TEST(services_in_use_make_no_room_for_others),
        TEST(a_service_that_may_not_be_watched_singly_is_looked_up),
        TEST(a_single_watch_takes_endpoints_where_slices_are_forbidden),
        TEST(an_entry_of_many_endpoints_is_not_built_for_each_change),
        TEST(each_pod_of_a_large_service_is_reported_gone_once),
        TEST(a_service_that_may_only_be_listed_is_listed_by_its_name),
        TEST(endpoints_serve_where_slices_and_pods_may_not_be_read),
        TEST(watches_the_cluster_where_it_may),
        TEST(watches_the_home_namespace_where_the_cluster_is_forbidden),
        TEST(looks_up_where_the_home_namespace_may_not_be_listed),
        TEST(looks_up_where_watches_are_forbidden),
        TEST(looks_up_where_the_home_namespace_may_not_be_watched),
        TEST(endpoints_are_watched_where_slices_are_not_served_or_forbidden),
        TEST(endpoints_replace_slices_that_may_not_be_watched),
        TEST(probes_the_rights_again_when_they_are_revoked),
        TEST(a_passing_refusal_does_not_lower_the_rights),
        TEST(a_refusal_of_a_proxy_does_not_lower_the_rights),
        TEST(only_a_404_status_of_the_api_server_makes_a_service_missing),
        TEST(probes_for_more_rights_every_five_minutes),
        TEST(requests_slices_again_a_minute_after_a_refusal),
        TEST(reports_the_error_while_the_api_server_is_away),
        TEST(the_first_look_up_costs_one_round_trip),
        TEST(a_look_up_may_be_answered_by_the_watch),
        TEST(a_look_up_answered_by_the_watch_has_the_reason),
        TEST(an_unfinished_list_answers_no_look_up),
        TEST(an_unknown_service_is_not_found_before_its_slices_come),
        TEST(a_watched_service_is_found_at_once),
        TEST(slices_are_merged_in_any_order),
        TEST(a_change_wakes_look_ups_and_keeps_held_entries),
        TEST(an_unchanged_list_wakes_no_look_up),
        TEST(many_events_of_a_turn_are_one_change),
        TEST(reports_deleted_pods),
        TEST(reports_changed_services),
        TEST(a_name_without_service_is_not_reported_as_changed),
        TEST(a_slice_deleted_between_watches_is_removed),
        TEST(a_slice_may_move_to_another_service),
        TEST(a_pod_of_two_services_is_gone_after_both_lost_it),
        TEST(a_created_and_deleted_service_is_noticed),
        TEST(explains_why_a_watched_service_has_no_ready_endpoint),
        TEST(a_missing_pod_is_replaced_by_a_listed_one),
        TEST(pods_found_by_a_list_stay_until_a_list_lacks_them),
        TEST(answers_without_reasons_where_pods_are_forbidden),
        TEST(a_pod_that_becomes_ready_answers_before_the_reasons),
        TEST(an_entry_keeps_the_time_it_was_last_ready),
        TEST(entries_stay_valid_while_the_api_server_is_away),
        TEST(another_namespace_than_the_watched_one_is_looked_up),
        TEST(holds_a_thousand_services),
        TEST(an_unreadable_object_is_skipped),
        TEST(pods_are_looked_up_by_the_selector),
        TEST(forbidden_slices_are_not_requested_again),
        TEST(a_look_up_is_cached),
        TEST(a_name_in_use_is_refreshed_before_it_expires),
        TEST(a_later_look_up_reports_deleted_pods),
        TEST(a_failed_look_up_removes_no_pod),
        TEST(concurrent_look_ups_share_one_call),
        TEST(a_refusal_is_cached_for_a_second),
        TEST(a_refused_call_names_the_missing_right),
        TEST(a_service_without_selector_is_found),
        TEST(an_external_name_needs_no_more_calls),
        TEST(an_answer_that_is_no_service_is_an_error),
        TEST(slices_without_a_ready_endpoint_are_explained),
        TEST(a_missing_pod_is_not_looked_up_again),
        TEST(unused_names_are_forgotten),
        TEST(at_most_ten_thousand_names_are_kept),
        TEST(a_name_that_is_watched_singly_is_not_evicted),
        TEST(an_impossible_name_is_not_looked_up),
        TEST(a_lookup_may_be_cancelled_at_any_time),
        TEST(the_catalog_may_be_destroyed_before_its_lookups),
        TEST(a_stopped_catalog_has_no_watch_and_no_entry),
        TEST(looks_up_a_pod_by_name),
        TEST(looks_up_a_pod_by_address),
        TEST(a_replaced_pod_is_gone),
        TEST(a_deployment_is_looked_up_as_the_pods_of_its_selector),
        TEST(a_deployment_that_does_not_exist_is_not_found),
        TEST(the_pods_of_an_unreadable_deployment_are_found_by_owner),
        TEST(selectors_of_deployments_become_queries),
        TEST(entries_that_no_look_up_holds_are_limited),
        TEST(entries_of_a_list_of_all_are_limited),
        TEST(what_is_left_out_is_logged_once_for_entries_that_are_dropped),
        TEST(an_entry_that_was_dropped_is_built_from_new_objects),
        TEST(an_entry_that_connections_were_made_from_stays),
        TEST(an_entry_is_kept_until_its_service_is_gone),
        TEST(an_entry_that_is_dropped_while_it_is_listed_stays_valid),
        TEST(a_name_that_is_listed_makes_no_room_for_others),
        TEST(an_entry_that_was_just_built_is_not_dropped),
    };
    return cmocka_run_group_tests_name("catalog/catalog", tests, NULL, NULL);
}
