/* bench/catalog/main.c - CPU time of the catalog alone, in a cluster of a given size
 *
 * bench-catalog [SERVICES [ENDPOINTS]]
 * No network: a scripted API server (tests/unit/catalog/fake_api.c) brings the objects.
 * Prints JSON: microseconds per look-up of a watched service and with the parsing of its
 * name, per slice of 100 endpoints that changes, and for the entry of 5,000 endpoints.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "catalog/objects.h"
#include "fake_api.h"
#include "route/name.h"

#define SERVICES "/api/v1/services"
#define SLICES "/apis/discovery.k8s.io/v1/endpointslices"
#define LOOKUPS 2000000
#define SLICE_ENDPOINTS 100
#define LARGE 5000

struct bench {
    struct sched sched;
    struct api *api;
    struct catalog *catalog;
    struct task wake;
    size_t services, endpoints;
};

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void on_wake(struct task *t)
{
    (void)t;
}

static void add_service(struct bench *b, size_t n)
{
    AUTO_FREE char *text =
        xasprintf("{'metadata': {'namespace': 'scale-%02zu', 'name': 'svc-%06zu'},"
                  " 'spec': {'selector': {'app': 'svc-%06zu'}, 'ports': [{'port': 80}]}}",
                  n % 20, n, n);
    fake_event(b->api, SERVICES, API_ADDED, text);
}

static char *slice_text(const char *ns, const char *service, size_t slice, size_t first,
                        size_t count, unsigned version)
{
    char *text = xasprintf("{'metadata': {'namespace': '%s', 'name': '%s-%zu',"
                           " 'resourceVersion': '%u', 'labels': {"
                           "'kubernetes.io/service-name': '%s'}},"
                           " 'ports': [{'port': 8080}], 'endpoints': [",
                           ns, service, slice, version, service);

    for (size_t i = 0; i < count; i++) {
        char *more = xasprintf("%s%s{'addresses': ['10.1.%zu.%zu'], 'conditions': {"
                               "'ready': true}, 'nodeName': 'node-%zu', 'targetRef': {"
                               "'kind': 'Pod', 'name': '%s-7d9f-%zu', 'uid': "
                               "'%08x-aaaa-4bbb-8ccc-%012zu'}}",
                               text, i ? "," : "", i / 256, i % 256, i % 500, service,
                               first + i, version, first + i);
        free(text);
        text = more;
    }
    char *whole = xasprintf("%s]}", text);
    free(text);
    return whole;
}

static void add_slice(struct bench *b, const char *ns, const char *service, size_t slice,
                      size_t first, size_t count)
{
    AUTO_FREE char *text = slice_text(ns, service, slice, first, count, 1);
    fake_event(b->api, SLICES, API_ADDED, text);
}

static void fill(struct bench *b)
{
    for (size_t i = 0; i < b->services; i++) {
        AUTO_FREE char *ns = xasprintf("scale-%02zu", i % 20);
        AUTO_FREE char *name = xasprintf("svc-%06zu", i);
        add_service(b, i);
        add_slice(b, ns, name, 0, 0, b->endpoints / b->services);
    }
    fake_event(b->api, SERVICES, API_ADDED,
               "{'metadata': {'namespace': 'large', 'name': 'large'},"
               " 'spec': {'selector': {'app': 'large'}, 'ports': [{'port': 80}]}}");
    for (size_t i = 0; i < LARGE / SLICE_ENDPOINTS; i++)
        add_slice(b, "large", "large", i, i * SLICE_ENDPOINTS, SLICE_ENDPOINTS);
    fake_live(b->api, SERVICES);
    fake_live(b->api, SLICES);
    sched_run(&b->sched, b->sched.now + 1);
}

/* The first look-up of a service builds its entry. */
static double lookup_us(struct bench *b, bool parse)
{
    AUTO_FREE char(*hosts)[64] = xcalloc(1000, sizeof(*hosts));
    struct lookup l = { 0 };
    double began = 0;

    for (size_t i = 0; i < 1000; i++) {
        size_t n = i * 7919 % b->services;
        snprintf(hosts[i], sizeof(hosts[i]), "svc-%06zu.scale-%02zu.svc", n, n % 20);
    }
    for (size_t i = 0; i < LOOKUPS + 1000; i++) {
        struct name name;
        struct str ns, service = str_first(str_of(hosts[i % 1000]), 10);
        ns = str_skip(str_first(str_of(hosts[i % 1000]), 19), 11);
        if (i == 1000)
            began = now_us();
        if (parse) {
            name_parse(str_of(hosts[i % 1000]), STR("cluster.local"), &name);
            ns = name.ns;
            service = name.service;
        }
        catalog_lookup(b->catalog, ns, service, UINT64_MAX, &l, &b->wake);
        if (l.result != OK)
            fail_msg("%s: %d", hosts[i % 1000], l.result);
    }
    double us = (now_us() - began) / LOOKUPS;
    lookup_finish(&l);
    return us;
}

static double slice_us(void)
{
    AUTO_FREE char *text = slice_text("large", "large", 0, 0, SLICE_ENDPOINTS, 2);
    json_t *object = fake_json(text);
    double began = now_us();

    for (int i = 0; i < 2000; i++) {
        struct slice *s;
        assert_int_equal(slice_parse(object, &s, NULL), OK);
        slice_destroy(s);
    }
    json_decref(object);
    return (now_us() - began) / 2000;
}

/* From the change of one slice of a service that is in use to its new entry. */
static double rebuild_us(struct bench *b)
{
    struct lookup l = { 0 };
    double spent = 0;

    catalog_lookup(b->catalog, STR("large"), STR("large"), UINT64_MAX, &l, &b->wake);
    assert_int_equal(l.result, OK);
    assert_int_equal(l.service->endpoint_count, LARGE);
    for (unsigned i = 0; i < 50; i++) {
        AUTO_FREE char *text =
            slice_text("large", "large", i, i * SLICE_ENDPOINTS, SLICE_ENDPOINTS, i + 2);
        sched_run(&b->sched, b->sched.now + 1000);
        fake_event(b->api, SLICES, API_MODIFIED, text);
        double began = now_us();
        sched_run(&b->sched, b->sched.now + 1);
        spent += now_us() - began;
    }
    lookup_finish(&l);
    return spent / 50;
}

int main(int argc, char **argv)
{
    struct bench b = { .services = argc > 1 ? (size_t)atol(argv[1]) : 10000 };
    const struct catalog_settings settings = { .keep_ms = 3000,
                                               .call_ms = 10000,
                                               .discovery = DISCOVERY_WATCH };

    b.endpoints = argc > 2 ? (size_t)atol(argv[2]) : 5 * b.services;
    log_set_level(LEVEL_ERROR);
    sched_init(&b.sched, 1);
    b.api = fake_create();
    b.catalog = catalog_create(&b.sched, b.api, &settings);
    task_init(&b.wake, &b.sched, RANK_WORK, on_wake);
    fill(&b);
    double lookup = lookup_us(&b, false), route = lookup_us(&b, true);
    printf("{\"services\": %zu, \"lookup_us\": %.3f, \"name_and_lookup_us\": %.3f, "
           "\"slice_us\": %.1f, \"rebuild_us\": %.0f}\n",
           b.services, lookup, route, slice_us(), rebuild_us(&b));
    catalog_destroy(b.catalog);
    fake_destroy(b.api);
    sched_finish(&b.sched);
    return 0;
}
