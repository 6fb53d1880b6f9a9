/* tests/unit/catalog/entry_test.c - building entries from objects: which pods may serve,
 * in which order
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/own.h"
#include "catalog/entry.h"
#include "fake_api.h"

#define WEB                                                                              \
    "{'metadata': {'namespace': 'shop', 'name': 'web'}, 'spec': {'selector': {'app': "   \
    "'web'},"                                                                            \
    " 'ports': [{'name': 'http', 'port': 80, 'targetPort': 'http'},"                     \
    "           {'name': 'admin', 'port': 9000}]}}"

/* What a test builds an entry from. */
struct given {
    struct service_spec *spec;
    struct slice_list slices;
    struct pod_list pods;
    struct map missing;
};

static void give_service(struct given *g, const char *text)
{
    json_t *object = fake_json(text);

    assert_int_equal(spec_parse(object, &g->spec, NULL), OK);
    json_decref(object);
}

/* endpoints: the text of the array. */
static void give_slice(struct given *g, const char *name, const char *ports,
                       const char *endpoints)
{
    AUTO_FREE char *text = xasprintf(
        "{'metadata': {'namespace': 'shop', 'name': '%s'}, 'ports': %s, 'endpoints': %s}",
        name, ports, endpoints);
    json_t *object = fake_json(text);
    struct slice *s = NULL;

    assert_int_equal(slice_parse(object, &s, NULL), OK);
    slice_list_add(&g->slices, s);
    json_decref(object);
}

static void give_pod(struct given *g, const char *text)
{
    json_t *object = fake_json(text);
    struct pod *p = NULL;

    assert_int_equal(pod_parse(object, &p, NULL), OK);
    pod_list_add(&g->pods, p);
    json_decref(object);
}

static void take_back(struct given *g)
{
    spec_unref(g->spec);
    slice_list_finish(&g->slices);
    pod_list_finish(&g->pods);
    map_finish(&g->missing);
    *g = (struct given){ 0 };
}

#define POD(n) "'targetRef': {'kind': 'Pod', 'name': 'web-" n "', 'uid': 'u" n "'}"
#define PORTS "[{'name': 'http', 'port': 8080}, {'name': 'admin', 'port': 9000}]"

static void assert_order(const struct service *s, const char *wanted)
{
    char got[256] = "";

    for (size_t i = 0; i < s->endpoint_count; i++) {
        strcat(got, i ? " " : "");
        strcat(got, s->endpoints[i]->pod);
    }
    assert_string_equal(got, wanted);
}

static void ready_come_first_and_terminating_last(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(
        &g, "s1", PORTS,
        "[{'conditions': {'ready': false, 'serving': true, 'terminating': true}, " POD(
            "1") "},"
                 " {'conditions': {'ready': false}, " POD(
                     "2") "},"
                          " {'conditions': {'ready': true}, " POD(
                              "3") "},"
                                   " {'conditions': {'ready': false, 'serving': false,"
                                   "                 'terminating': true}, " POD(
                                       "4") "},"
                                            " {" POD("5") "}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_order(s, "web-3 web-5 web-2 web-1");
    assert_true(s->endpoints[0]->ready && entry_has_ready(s));
    assert_false(s->endpoints[2]->ready);
    assert_true(s->endpoints[3]->terminating && !s->endpoints[3]->ready);
    assert_null(s->pods_note);
    service_unref(s);
    take_back(&g);
}

static void slices_with_different_ports_are_merged(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s1", "[{'name': 'http', 'port': 8080}]",
               "[{" POD("1") "}, {" POD("2") "}]");
    give_slice(&g, "s2", "[{'name': 'admin', 'port': 9001}]", "[{" POD("1") "}]");
    give_slice(&g, "s3", "[{'name': 'http', 'port': 8888}]", "[{" POD("3") "}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_order(s, "web-1 web-2 web-3");
    assert_int_equal(endpoint_port(s, s->endpoints[0], 0), 8080);
    assert_int_equal(endpoint_port(s, s->endpoints[0], 1), 9001);
    assert_int_equal(endpoint_port(s, s->endpoints[1], 1), 0);
    assert_int_equal(endpoint_port(s, s->endpoints[2], 0), 8888);
    assert_int_equal(endpoint_port(s, s->endpoints[2], 7), 0);
    service_unref(s);
    take_back(&g);
}

/* Named p0, p1, ...; as long as the test runs. */
static const char *port_name(size_t i)
{
    static char names[PORTS_MAX][8];

    snprintf(names[i], sizeof(names[i]), "p%zu", i);
    return names[i];
}

/* A slice with `ports` ports and `pods` pods, the first of which is web-FIRST. */
static void give_large_slice(struct given *g, const char *name, size_t ports,
                             size_t first, size_t count)
{
    static char pods[1000][16], uids[1000][16];
    AUTO_FREE struct slice_port *port = xcalloc(ports + 1, sizeof(*port));
    AUTO_FREE struct slice_endpoint *endpoint = xcalloc(count, sizeof(*endpoint));

    for (size_t i = 0; i < ports; i++)
        port[i] = (struct slice_port){ port_name(i), (uint16_t)(1 + i), true };
    for (size_t i = 0; i < count; i++) {
        snprintf(pods[i], sizeof(pods[i]), "web-%zu", first + i);
        snprintf(uids[i], sizeof(uids[i]), "u%zu", first + i);
        endpoint[i] = (struct slice_endpoint){
            .pod = pods[i], .uid = uids[i], .ready = true, .serving = true
        };
    }
    const struct slice loose = {
        .ns = "shop",
        .name = name,
        .ports = port,
        .port_count = ports,
        .endpoints = endpoint,
        .endpoint_count = count,
    };
    slice_list_add(&g->slices, slice_pack(&loose));
}

static void give_large_service(struct given *g, size_t ports)
{
    AUTO_FREE struct service_port *port = xcalloc(ports, sizeof(*port));

    for (size_t i = 0; i < ports; i++)
        port[i] = (struct service_port){ .name = port_name(i),
                                         .number = (uint16_t)(1 + i),
                                         .tcp = true };
    const struct service_spec loose = {
        .ns = "shop", .name = "web", .ports = port, .port_count = ports
    };
    g->spec = spec_pack(&loose);
}

/* Its ports are in two slices, which makes the merge expensive. */
static void a_service_of_20000_ports_and_1000_pods_is_served_whole(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_large_service(&g, PORTS_MAX);
    give_large_slice(&g, "all", PORTS_MAX, 0, 1000);
    give_large_slice(&g, "some", 10, 0, 1000);
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(s->endpoint_count, 1000);
    assert_int_equal(s->ports_left_out + s->endpoints_left_out, 0);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        assert_int_equal(endpoint_port(s, s->endpoints[i], PORTS_MAX - 1), PORTS_MAX);
        assert_ptr_equal(s->endpoints[i]->ports, s->endpoints[0]->ports);
    }
    assert_true(entry_equal(s, s));
    service_unref(s);
    take_back(&g);
}

/* All pods have different ports, so that no table of ports can be shared: the work of a
 * build is bounded, and omitted pods are counted. */
static void pods_beyond_the_bound_of_a_build_are_counted(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_large_service(&g, PORTS_MAX);
    for (size_t i = 0; i < 300; i++) {
        AUTO_FREE char *name = xasprintf("s%zu", i);
        give_large_slice(&g, name, i, i, 1);
    }
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_in_range(s->endpoint_count, 200, 299);
    assert_int_equal(s->endpoint_count + s->endpoints_left_out, 300);
    service_unref(s);
    take_back(&g);
}

static void endpoints_beyond_5000_are_counted(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_large_service(&g, 1);
    for (size_t i = 0; i < 6; i++) {
        AUTO_FREE char *name = xasprintf("s%zu", i);
        give_large_slice(&g, name, 1, i * 1000, 1000);
    }
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(s->endpoint_count, 5000);
    assert_int_equal(s->endpoints_left_out, 1000);
    service_unref(s);
    take_back(&g);
}

static void both_address_families_are_one_pod(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s6", PORTS, "[{'addresses': ['fd00::1'], " POD("1") "}]");
    give_slice(&g, "s4", PORTS, "[{'addresses': ['10.1.0.1'], " POD("1") "}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(s->endpoint_count, 1);
    assert_string_equal(s->endpoints[0]->ip, "10.1.0.1");
    service_unref(s);
    take_back(&g);
}

static void a_pod_terminating_in_one_slice_is_terminating(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s1", PORTS, "[{" POD("1") "}]");
    give_slice(
        &g, "s2", PORTS,
        "[{'conditions': {'ready': false, 'serving': true, 'terminating': true}, " POD(
            "1") "}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(s->endpoint_count, 1);
    assert_true(s->endpoints[0]->terminating && !s->endpoints[0]->ready);
    service_unref(s);
    take_back(&g);
}

static void a_slice_port_without_a_number_means_any(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s1", "[{'name': 'admin', 'port': null}]", "[{" POD("1") "}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(endpoint_port(s, s->endpoints[0], 1), 9000);
    service_unref(s);
    take_back(&g);
}

static void endpoints_that_are_no_pods_are_counted(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, "{'metadata': {'name': 'db'}, 'spec': {'ports': [{'port': 5432}]}}");
    give_slice(&g, "s1", "[{'port': 5432}]",
               "[{'addresses': ['192.0.2.1']}, {'addresses': ['192.0.2.2']}]");
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, NULL);

    assert_int_equal(s->endpoint_count, 0);
    assert_string_equal(s->pods_note,
                        "2 endpoints are no pods, which a port-forward cannot reach (an "
                        "address counts when exactly one pod of the namespace has it)");
    assert_int_equal(s->by_address, 2);
    service_unref(s);
    take_back(&g);
}

static void an_address_belongs_to_the_only_pod_that_has_it(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, "{'metadata': {'name': 'db'}, 'spec': {'ports': [{'port': 5432}]}}");
    give_slice(
        &g, "s1", "[{'port': 5432}]",
        "[{'addresses': ['10.0.0.1']}, {'addresses': ['10.0.0.2']},"
        " {'addresses': ['10.0.0.3'], 'targetRef': {'kind': 'Node', 'name': 'x'}}]");
    static const char *const pods[] = { "a", "b", "c", "a" }; /* a list begun again */
    static const char *const addresses[] = { "10.0.0.1", "10.0.0.2", "10.0.0.2",
                                             "10.0.0.1" };
    for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
        AUTO_FREE char *text = xasprintf(
            "{'metadata': {'namespace': 'shop', 'name': '%s', 'uid': '%s'}, 'spec': {},"
            " 'status': {'phase': 'Running', 'podIP': '%s'}}",
            pods[i], pods[i], addresses[i]);
        give_pod(&g, text);
    }
    struct service *s = entry_from_slices(g.spec, &g.slices, &g.pods, NULL);

    assert_order(s, "a");
    assert_true(s->endpoints[0]->ready && s->from_pods);
    assert_int_equal(endpoint_port(s, s->endpoints[0], 0), 5432);
    service_unref(s);
    take_back(&g);
}

static void give_running(struct given *g)
{
    give_service(g, WEB);
    give_pod(
        g,
        "{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': 'u1'},"
        " 'spec': {'containers': [{'ports': [{'name': 'http', 'containerPort': 8080}]}]},"
        " 'status': {'phase': 'Running', 'podIP': '10.1.0.1',"
        "            'conditions': [{'type': 'Ready', 'status': 'False'}]}}");
    give_pod(g, "{'metadata': {'namespace': 'shop', 'name': 'web-2', 'uid': 'u2'},"
                " 'spec': {'initContainers':"
                "   [{'ports': [{'name': 'http', 'containerPort': 8081}]}],"
                "   'hostname': 'h', 'subdomain': 'web'},"
                " 'status': {'phase': 'Running',"
                "            'conditions': [{'type': 'Ready', 'status': 'True'}]}}");
    give_pod(g, "{'metadata': {'name': 'web-3', 'uid': 'u3'},"
                " 'status': {'phase': 'Succeeded'}}");
    give_pod(g, "{'metadata': {'name': 'web-4', 'uid': 'u4', 'deletionTimestamp': 'x'},"
                " 'status': {'phase': 'Running',"
                "            'conditions': [{'type': 'Ready', 'status': 'True'}]}}");
}

static void takes_running_pods_where_slices_are_forbidden(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);

    assert_order(s, "web-2 web-1 web-4");
    assert_int_equal(s->pods_seen, 4);
    assert_string_equal(s->endpoints[0]->hostname, "h");
    service_unref(s);
    take_back(&g);
}

/* The list was begun again in the middle (410), and has a pod twice. */
static void a_pod_listed_twice_is_one_endpoint(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    give_pod(&g, "{'metadata': {'namespace': 'shop', 'name': 'web-2', 'uid': 'u2'},"
                 " 'status': {'phase': 'Running',"
                 "            'conditions': [{'type': 'Ready', 'status': 'True'}]}}");
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);

    assert_order(s, "web-2 web-1 web-4");
    service_unref(s);
    take_back(&g);
}

static void resolves_a_named_port_in_each_pod(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);

    assert_int_equal(endpoint_port(s, s->endpoints[0], 0), 8081);
    assert_int_equal(endpoint_port(s, s->endpoints[1], 0), 8080);
    assert_int_equal(endpoint_port(s, s->endpoints[2], 0), 0);
    assert_int_equal(endpoint_port(s, s->endpoints[2], 1), 9000);
    service_unref(s);
    take_back(&g);
}

static void publishes_not_ready_pods_where_the_service_does(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    g.spec->not_ready_too = true;
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);

    assert_order(s, "web-1 web-2 web-4");
    assert_true(s->endpoints[0]->ready);
    service_unref(s);
    take_back(&g);
}

static void explains_why_no_endpoint_can_serve(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    struct service *s = entry_from_slices(g.spec, &g.slices, &g.pods, NULL);
    assert_string_equal(s->pods_note, "no pod matches selector app=web");
    assert_int_equal(s->pods_seen, 0);
    service_unref(s);

    give_pod(&g, "{'metadata': {'name': 'web-1'}, 'status': {'phase': 'Pending',"
                 " 'containerStatuses':"
                 "   [{'state': {'waiting': {'reason': 'ImagePullBackOff'}}}]}}");
    give_pod(&g, "{'metadata': {'name': 'web-2'}, 'status': {'phase': 'Failed'}}");
    s = entry_from_slices(g.spec, &g.slices, &g.pods, NULL);
    assert_string_equal(s->pods_note, "2 pods match selector app=web, none is running: "
                                      "web-1 Pending (ImagePullBackOff), web-2 Failed");
    assert_int_equal(s->pods_seen, 2);
    service_unref(s);

    give_pod(&g, "{'metadata': {'name': 'web-3'}, 'status': {'phase': 'Running'}}");
    s = entry_from_pods(g.spec, &g.pods, NULL);
    assert_non_null(strstr(s->pods_note, "none is ready: web-1"));
    assert_non_null(strstr(s->pods_note, "web-3 not ready"));
    service_unref(s);
    take_back(&g);
}

/* The slice controller is late: in its slice one pod is not ready, and another is
 * missing. */
static void ready_pods_serve_where_slices_show_none(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s1", PORTS,
               "[{'conditions': {'ready': false}, " POD(
                   "1") "},"
                        " {'conditions': {'ready': false}, " POD("2") "}]");
    for (char n = '1'; n <= '4'; n++) {
        AUTO_FREE char *pod = xasprintf(
            "{'metadata': {'namespace': 'shop', 'name': 'web-%c', 'uid': 'u%c'},"
            " 'spec': {'containers':"
            " [{'ports': [{'name': 'http', 'containerPort': 8080}]}]},"
            " 'status': {'phase': 'Running',"
            "            'conditions': [{'type': 'Ready', 'status': '%s'}]}}",
            n, n, n == '2' ? "False" : "True");
        give_pod(&g, pod);
    }
    map_set(&g.missing, STR("shop/web-4/u4"), &g);
    struct service *s = entry_from_slices(g.spec, &g.slices, &g.pods, &g.missing);
    assert_order(s, "web-1 web-3 web-2");
    assert_true(s->from_pods && s->endpoints[1]->ready && !s->endpoints[2]->ready);
    assert_int_equal(endpoint_port(s, s->endpoints[1], 0), 8080);
    assert_null(s->pods_note);
    service_unref(s);

    give_slice(&g, "s2", PORTS, "[{" POD("5") "}]"); /* the controller has caught up */
    s = entry_from_slices(g.spec, &g.slices, &g.pods, &g.missing);
    assert_order(s, "web-5 web-1 web-2");
    assert_false(s->from_pods);
    service_unref(s);
    take_back(&g);
}

static void a_missing_pod_is_no_endpoint(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    give_slice(&g, "s1", PORTS, "[{" POD("1") "}, {" POD("2") "}]");
    map_set(&g.missing, STR("shop/web-1/u1"), &g);
    struct service *s = entry_from_slices(g.spec, &g.slices, NULL, &g.missing);
    assert_order(s, "web-2");
    service_unref(s);
    take_back(&g);
}

static void a_long_note_is_cut(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_service(&g, WEB);
    for (int i = 0; i < 8; i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 "{'metadata': {'name': 'web-%d%0200d'}, 'status': {'phase': 'Pending'}}",
                 i, 0);
        give_pod(&g, text);
    }
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);
    assert_int_equal(strlen(s->pods_note), 511);
    service_unref(s);
    take_back(&g);
}

static void a_pod_by_itself_is_an_entry(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    struct service *s = entry_for_pod(g.pods.at[0]);
    assert_int_equal(s->kind, SERVICE_POD);
    assert_int_equal(s->endpoint_count, 1);
    assert_string_equal(s->pods_note, "pod web-1 not ready");
    assert_int_equal(s->port_count, 1);
    assert_int_equal(s->ports[0].number, 8080);
    service_unref(s);

    g.pods.at[0]->ports[0].tcp = false;
    s = entry_for_pod(g.pods.at[0]);
    assert_int_equal(s->port_count, 0);
    service_unref(s);

    s = entry_for_pod(g.pods.at[2]);
    assert_int_equal(s->endpoint_count, 0);
    assert_string_equal(s->pods_note, "pod web-3 Succeeded");
    service_unref(s);
    take_back(&g);
}

static void notices_every_difference(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 81}]}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80, 'name': 'x'}]}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80, 'targetPort': "
        "'x'}]}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80, 'protocol': "
        "'UDP'}]}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80}], 'clusterIP': "
        "'None'}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80}, {'port': 81}]}}",
        "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80}],"
        " 'selector': {'a': 'b'}}}",
    };
    struct given a = { 0 }, b = { 0 };

    give_service(&a, "{'metadata': {'name': 'web'}, 'spec': {'ports': [{'port': 80}]}}");
    struct service *s = entry_from_slices(a.spec, &a.slices, NULL, NULL);
    assert_true(entry_equal(s, s));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        give_service(&b, others[i]);
        struct service *other = entry_from_slices(b.spec, &b.slices, NULL, NULL);
        if (entry_equal(s, other))
            fail_msg("the same: %s", others[i]);
        service_unref(other);
        take_back(&b);
    }
    service_unref(s);
    take_back(&a);
}

static void endpoints_outlive_their_entry(void **state)
{
    (void)state;
    struct given g = { 0 };

    give_running(&g);
    struct service *s = entry_from_pods(g.spec, &g.pods, NULL);
    struct endpoint *e = endpoint_ref(s->endpoints[0]);
    struct service *again = service_ref(s);
    service_unref(s);
    assert_int_equal(again->endpoint_count, 3);
    service_unref(again);
    assert_string_equal(e->pod, "web-2");
    endpoint_unref(e);
    endpoint_unref(NULL);
    service_unref(NULL);
    take_back(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_come_first_and_terminating_last),
        cmocka_unit_test(slices_with_different_ports_are_merged),
        cmocka_unit_test(a_service_of_20000_ports_and_1000_pods_is_served_whole),
        cmocka_unit_test(pods_beyond_the_bound_of_a_build_are_counted),
        cmocka_unit_test(endpoints_beyond_5000_are_counted),
        cmocka_unit_test(both_address_families_are_one_pod),
        cmocka_unit_test(a_pod_terminating_in_one_slice_is_terminating),
        cmocka_unit_test(a_slice_port_without_a_number_means_any),
        cmocka_unit_test(endpoints_that_are_no_pods_are_counted),
        cmocka_unit_test(an_address_belongs_to_the_only_pod_that_has_it),
        cmocka_unit_test(takes_running_pods_where_slices_are_forbidden),
        cmocka_unit_test(a_pod_listed_twice_is_one_endpoint),
        cmocka_unit_test(resolves_a_named_port_in_each_pod),
        cmocka_unit_test(publishes_not_ready_pods_where_the_service_does),
        cmocka_unit_test(explains_why_no_endpoint_can_serve),
        cmocka_unit_test(ready_pods_serve_where_slices_show_none),
        cmocka_unit_test(a_missing_pod_is_no_endpoint),
        cmocka_unit_test(a_long_note_is_cut),
        cmocka_unit_test(a_pod_by_itself_is_an_entry),
        cmocka_unit_test(notices_every_difference),
        cmocka_unit_test(endpoints_outlive_their_entry),
    };
    return cmocka_run_group_tests_name("catalog/entry", tests, NULL, NULL);
}
