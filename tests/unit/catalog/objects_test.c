/* tests/unit/catalog/objects_test.c - Kubernetes JSON into plain structs */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/own.h"
#include "catalog/objects.h"
#include "fake_api.h"

static struct service_spec *spec_of(const char *text)
{
    json_t *object = fake_json(text);
    struct service_spec *s = NULL;
    struct diag why = { "" };

    if (spec_parse(object, &s, &why) != OK)
        fail_msg("%s", why.text);
    json_decref(object);
    return s;
}

static void reads_a_service(void **state)
{
    (void)state;
    struct service_spec *s = spec_of(
        "{'metadata': {'namespace': 'shop', 'name': 'web', 'resourceVersion': '7',"
        "              'managedFields': [{}]},"
        " 'spec': {'type': 'ClusterIP', 'clusterIP': '10.0.0.1', 'selector': {'app': "
        "'web'},"
        "          'sessionAffinity': 'ClientIP', 'ports': ["
        "  {'name': 'http', 'port': 80, 'targetPort': 8080, 'protocol': 'TCP'},"
        "  {'name': 'grpc', 'port': 9090, 'targetPort': 'rpc', 'appProtocol': 'grpc'},"
        "  {'name': 'dns', 'port': 53, 'protocol': 'UDP'}]}}");

    assert_string_equal(s->ns, "shop");
    assert_string_equal(s->name, "web");
    assert_int_equal(s->kind, SERVICE_NORMAL);
    assert_string_equal(s->selector, "app=web");
    assert_true(s->sticky && !s->headless && !s->not_ready_too);
    assert_int_equal(s->port_count, 3);
    assert_int_equal(s->ports[0].target, 8080);
    assert_true(s->ports[0].tcp);
    assert_string_equal(s->ports[1].target_name, "rpc");
    assert_int_equal(s->ports[1].target, 0);
    assert_string_equal(s->ports[1].app_protocol, "grpc");
    assert_false(s->ports[2].tcp);
    assert_int_equal(s->ports[2].target, 53);
    spec_unref(s);
}

static void a_missing_field_has_its_default(void **state)
{
    (void)state;
    struct service_spec *s =
        spec_of("{'metadata': {'namespace': 'shop', 'name': 'web'},"
                " 'spec': {'selector': null, 'ports': [{'port': 80}]}}");

    assert_null(s->selector);
    assert_string_equal(s->ports[0].name, "");
    assert_true(s->ports[0].tcp);
    assert_int_equal(s->ports[0].target, 80);
    spec_unref(s);

    s = spec_of("{'metadata': {'name': 'web'}}");
    assert_int_equal(s->port_count, 0);
    spec_unref(s);
}

static void knows_external_and_headless_services(void **state)
{
    (void)state;
    struct service_spec *s =
        spec_of("{'metadata': {'name': 'db'},"
                " 'spec': {'type': 'ExternalName', 'externalName': 'db.example.com'}}");

    assert_int_equal(s->kind, SERVICE_EXTERNAL);
    assert_string_equal(s->external_name, "db.example.com");
    spec_unref(s);

    s = spec_of("{'metadata': {'name': 'db'}, 'spec': {'clusterIP': 'None',"
                " 'publishNotReadyAddresses': true}}");
    assert_true(s->headless && s->not_ready_too);
    spec_unref(s);
}

static void joins_a_selector(void **state)
{
    (void)state;
    struct service_spec *s =
        spec_of("{'metadata': {'name': 'db'}, 'spec': {'selector':"
                " {'app.kubernetes.io/name': 'db', 'tier': 'back'}}}");

    assert_string_equal(s->selector, "app.kubernetes.io/name=db,tier=back");
    spec_unref(s);
}

static void refuses_fields_of_the_wrong_type(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{'metadata': {'name': 7}}",
        "{'metadata': []}",
        "{'metadata': {'name': 'a'}, 'spec': 'b'}",
        "{'metadata': {'name': 'a'}, 'spec': {'ports': {}}}",
        "{'metadata': {'name': 'a'}, 'spec': {'ports': [{'port': '80'}]}}",
        "{'metadata': {'name': 'a'}, 'spec': {'ports': [{'port': 65536}]}}",
        "{'metadata': {'name': 'a'}, 'spec': {'ports': [{'port': -1}]}}",
        "{'metadata': {'name': 'a'}, 'spec': {'ports': [{'port': 1, 'targetPort': []}]}}",
        "{'metadata': {'name': 'a'}, 'spec': {'selector': {'app': 1}}}",
        "{'metadata': {'name': 'a'}, 'spec': {'publishNotReadyAddresses': 'yes'}}",
        "{'metadata': {'name': ''}}",
        "{'spec': {}}",
        "[]",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *object = fake_json(cases[i]);
        struct service_spec *s = NULL;
        struct diag why = { "" };
        if (spec_parse(object, &s, &why) != ERR_PROTO || s || !why.text[0])
            fail_msg("taken: %s", cases[i]);
        json_decref(object);
    }
}

static void reads_20000_ports_of_a_service_and_counts_the_others(void **state)
{
    (void)state;
    for (int n = PORTS_MAX - 1; n <= PORTS_MAX + 1; n++) {
        json_t *ports = json_array();
        for (int i = 0; i < n; i++)
            json_array_append_new(ports, json_pack("{s:i}", "port", i + 1));
        json_t *object = json_pack("{s:{s:s}, s:{s:o}}", "metadata", "name", "web",
                                   "spec", "ports", ports);
        struct service_spec *s = NULL;
        assert_int_equal(spec_parse(object, &s, NULL), OK);
        assert_int_equal(s->port_count, n < PORTS_MAX ? n : PORTS_MAX);
        assert_int_equal(s->left_out, n < PORTS_MAX ? 0 : n - PORTS_MAX);
        spec_unref(s);
        json_decref(object);
    }
}

static void reads_an_endpoint_slice(void **state)
{
    (void)state;
    json_t *object = fake_json(
        "{'metadata': {'namespace': 'shop', 'name': 'web-x', 'resourceVersion': '9',"
        "   'labels': {'kubernetes.io/service-name': 'web'}},"
        " 'addressType': 'IPv4', 'ports': [{'name': 'http', 'port': 8080}, {'port': "
        "null}],"
        " 'endpoints': ["
        "  {'addresses': ['10.1.0.1'], 'conditions': {'ready': true}, 'nodeName': 'n1',"
        "   'hostname': 'web-0', 'targetRef': {'kind': 'Pod', 'namespace': 'shop',"
        "   'name': 'web-1', 'uid': 'u1'}},"
        "  {'addresses': ['10.1.0.2'], 'conditions': {'ready': false, 'serving': true,"
        "   'terminating': true}, 'targetRef': {'kind': 'Pod', 'name': 'web-2'}},"
        "  {'addresses': ['192.0.2.1']},"
        "  {'targetRef': {'kind': 'Node', 'name': 'n1'}}]}");
    struct slice *s = NULL;

    assert_int_equal(slice_parse(object, &s, NULL), OK);
    assert_string_equal(s->service, "web");
    assert_int_equal(s->ports[0].number, 8080);
    assert_string_equal(s->ports[1].name, "");
    assert_int_equal(s->ports[1].number, 0);
    assert_int_equal(s->endpoint_count, 4);
    assert_string_equal(s->endpoints[0].pod, "web-1");
    assert_string_equal(s->endpoints[0].hostname, "web-0");
    assert_true(s->endpoints[0].ready && s->endpoints[0].serving);
    assert_false(s->endpoints[0].terminating);
    assert_true(s->endpoints[1].terminating && s->endpoints[1].serving);
    assert_false(s->endpoints[1].ready);
    assert_true(s->endpoints[2].ready); /* not given: ready */
    assert_null(s->endpoints[2].pod);
    assert_null(s->endpoints[3].pod);
    slice_destroy(s);
    json_decref(object);
}

static void reads_a_pod(void **state)
{
    (void)state;
    json_t *object =
        fake_json("{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': 'u1',"
                  "              'deletionTimestamp': '2026-01-01T00:00:00Z'},"
                  " 'spec': {'nodeName': 'n1', 'hostname': 'a', 'subdomain': 'b',"
                  "   'containers': [{'ports': [{'containerPort': 1, 'name': 'x'}, "
                  "{'containerPort': 2}]},"
                  "                  {}],"
                  "   'initContainers': [{'ports': [{'containerPort': 3, 'name': 'y',"
                  "                       'protocol': 'UDP'}]}]},"
                  " 'status': {'phase': 'Pending', 'podIP': '10.1.0.1',"
                  "   'podIPs': [{'ip': '10.1.0.1'}, {'ip': 'fd00::1'}],"
                  "   'conditions': [{'type': 'Ready', 'status': 'True'}],"
                  "   'containerStatuses': [{'state': {'running': {}}},"
                  "      {'state': {'waiting': {'reason': 'ImagePullBackOff', 'message': "
                  "'no'}}}]}}");
    struct pod *p = NULL;

    assert_int_equal(pod_parse(object, &p, NULL), OK);
    assert_true(p->ready && p->terminating);
    assert_string_equal(p->phase, "Pending");
    assert_string_equal(p->reason, "ImagePullBackOff");
    assert_string_equal(p->ips[0], "10.1.0.1");
    assert_string_equal(p->ips[1], "fd00::1");
    assert_null(p->ips[2]);
    assert_int_equal(p->port_count, 3);
    assert_string_equal(p->ports[1].name, "");
    assert_int_equal(p->ports[1].number, 2);
    assert_string_equal(p->ports[2].name, "y");
    assert_false(p->ports[2].tcp);
    pod_destroy(p);
    json_decref(object);
}

static void the_reason_of_a_pod_that_does_not_run_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *status, *reason;
    } cases[] = {
        { "{'reason': 'Evicted'}", "Evicted" },
        { "{'conditions': [{'type': 'PodScheduled', 'reason': 'Unschedulable'}]}",
          "Unschedulable" },
        { "{'initContainerStatuses': [{'state': {'terminated': {'reason': 'Completed'}}},"
          " {'state': {'waiting': {'reason': 'CrashLoopBackOff'}}}],"
          " 'containerStatuses': [{'state': {'waiting': {'reason': "
          "'PodInitializing'}}}]}",
          "CrashLoopBackOff" },
        { "{'containerStatuses': [{'state': {'terminated': {'reason': 'Error'}}}]}",
          "Error" },
        { "{'containerStatuses': [{'state': {'running': {}}}]}", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *object = json_pack("{s:{s:s}, s:o}", "metadata", "name", "p", "status",
                                   fake_json(cases[i].status));
        struct pod *p = NULL;
        assert_int_equal(pod_parse(object, &p, NULL), OK);
        if (cases[i].reason)
            assert_string_equal(p->reason, cases[i].reason);
        else
            assert_null(p->reason);
        pod_destroy(p);
        json_decref(object);
    }
}

static struct slice *named_slice(const char *name, uint64_t version)
{
    const struct slice loose = { .ns = "shop", .name = name, .version = version };
    return slice_pack(&loose);
}

static void a_slice_replaces_the_one_of_its_name(void **state)
{
    (void)state;
    struct slice_list l = { 0 };

    assert_true(slice_list_put(&l, named_slice("a", 1)));
    assert_true(slice_list_put(&l, named_slice("b", 1)));
    assert_true(slice_list_put(&l, named_slice("c", 0)));
    assert_false(slice_list_put(&l, named_slice("a", 1)));
    assert_true(slice_list_put(&l, named_slice("a", 2)));
    assert_true(slice_list_put(&l, named_slice("c", 0)));
    assert_int_equal(l.count, 3);
    assert_true(slice_list_remove(&l, "b"));
    assert_false(slice_list_remove(&l, "b"));
    assert_int_equal(l.count, 2);
    assert_int_equal(slice_list_at(&l, 0)->version, 2);
    slice_list_finish(&l);
}

#define MANY 40000

static struct slice *numbered_slice(size_t n)
{
    AUTO_FREE char *name = xasprintf("slice-%zu", n);
    return named_slice(name, 1);
}

/* Seconds of CPU time, not of the clock. */
static double seconds_for(size_t count)
{
    struct slice_list l = { 0 };
    clock_t began = clock();

    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < count; i++)
            assert_int_equal(slice_list_put(&l, numbered_slice(i)), round == 0);
    assert_int_equal(l.count, count);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *name = xasprintf("slice-%zu", (i * 7919) % count);
        assert_true(slice_list_remove(&l, name));
    }
    assert_int_equal(l.count, 0);
    slice_list_finish(&l);
    return (double)(clock() - began) / CLOCKS_PER_SEC;
}

/* With a quadratic algorithm, eight times as many slices would take 64 times as long. */
static void many_slices_of_one_service_take_linear_time(void **state)
{
    (void)state;
    double few = seconds_for(MANY / 8), many = seconds_for(MANY);

    assert_true(many < 32 * few + 0.05);
}

static void slice_list_keeps_every_slice_across_its_index(void **state)
{
    (void)state;
    struct slice_list l = { 0 };

    for (size_t i = 0; i < 40; i++)
        assert_true(slice_list_put(&l, numbered_slice(i)));
    for (size_t i = 0; i < 40; i += 2) {
        AUTO_FREE char *name = xasprintf("slice-%zu", i);
        assert_true(slice_list_remove(&l, name));
        assert_false(slice_list_remove(&l, name));
    }
    assert_int_equal(l.count, 20);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(slice_list_put(&l, numbered_slice(i)), i % 2 == 0);
    assert_int_equal(l.count, 40);
    slice_list_finish(&l);
    assert_true(slice_list_put(&l, numbered_slice(1)));
    slice_list_finish(&l);
}

/* The API server does not check a targetRef, and its name is put into request paths. */
static void takes_only_pods_of_its_own_namespace_by_plain_names(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *pod, *uid; /* NULL: not a pod that can be forwarded to */
    } cases[] = {
        { "'name': 'web-1', 'uid': 'u1'", "web-1", "u1" },
        { "'namespace': 'shop', 'name': 'web-1'", "web-1", "" },
        { "'namespace': 'vault', 'name': 'db-0', 'uid': 'u1'", NULL, NULL },
        { "'namespace': '', 'name': 'db-0', 'uid': 'u1'", NULL, NULL },
        { "'name': 'x HTTP/1.1\\r\\nX: y', 'uid': 'u1'", NULL, NULL },
        { "'name': 'x/exec?command=sh', 'uid': 'u1'", NULL, NULL },
        { "'name': '../../secrets', 'uid': 'u1'", NULL, NULL },
        { "'name': '..', 'uid': 'u1'", NULL, NULL },
        { "'name': '', 'uid': 'u1'", NULL, NULL },
        { "'name': 'web-1', 'uid': 'a/b'", "web-1", "" },
        { "'name': 'web-1', 'uid': '0123456789012345678901234567890123456789"
          "0123456789012345678901234'",
          "web-1", "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *text =
            xasprintf("{'metadata': {'namespace': 'shop', 'name': 's'},"
                      " 'endpoints': [{'targetRef': {'kind': 'Pod', "
                      "%s}}]}",
                      cases[i].target);
        json_t *object = fake_json(text);
        struct slice *s = NULL;

        assert_int_equal(slice_parse(object, &s, NULL), OK);
        if (cases[i].pod) {
            assert_string_equal(s->endpoints[0].pod, cases[i].pod);
            assert_string_equal(s->endpoints[0].uid, cases[i].uid);
        } else if (s->endpoints[0].pod) {
            fail_msg("taken: %s", cases[i].target);
        }
        slice_destroy(s);
        json_decref(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_service),
        cmocka_unit_test(a_missing_field_has_its_default),
        cmocka_unit_test(knows_external_and_headless_services),
        cmocka_unit_test(joins_a_selector),
        cmocka_unit_test(refuses_fields_of_the_wrong_type),
        cmocka_unit_test(reads_20000_ports_of_a_service_and_counts_the_others),
        cmocka_unit_test(reads_an_endpoint_slice),
        cmocka_unit_test(takes_only_pods_of_its_own_namespace_by_plain_names),
        cmocka_unit_test(reads_a_pod),
        cmocka_unit_test(the_reason_of_a_pod_that_does_not_run_is_found),
        cmocka_unit_test(a_slice_replaces_the_one_of_its_name),
        cmocka_unit_test(many_slices_of_one_service_take_linear_time),
        cmocka_unit_test(slice_list_keeps_every_slice_across_its_index),
    };
    return cmocka_run_group_tests_name("catalog/objects", tests, NULL, NULL);
}
