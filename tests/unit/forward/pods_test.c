/* tests/unit/forward/pods_test.c - which pod, and which of its ports */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "forward/candidate.h"
#include "forward/ports.h"

#include "base/own.h"

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *o = json_loads(text, 0, &error);

    if (!o)
        fail_msg("%s: %s", error.text, text);
    return o;
}

/* --- which pod --- */

#define POD(name, more, status)                                                          \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\",\"uid\":\"u-" name      \
    "\"" more "},\"spec\":{\"nodeName\":\"n\"},\"status\":" status "}"
#define READY(since)                                                                     \
    "{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","    \
    "\"lastTransitionTime\":\"" since "\"}]}"
#define RESTARTED(n)                                                                     \
    "{\"phase\":\"Running\",\"containerStatuses\":[{\"restartCount\":" n "}]}"
#define CREATED(when) ",\"creationTimestamp\":\"" when "\""
#define RUNNING "{\"phase\":\"Running\"}"

static struct candidate read_pod(const char *text)
{
    struct candidate c = { 0 };
    struct diag why = { "" };
    json_t *o = parse(text);

    if (candidate_read(o, &c, &why))
        fail_msg("%s: %s", text, why.text);
    json_decref(o);
    return c;
}

static void chooses_as_kubectl_does(void **state)
{
    (void)state;
    static const struct {
        const char *better, *worse;
    } cases[] = {
        { POD("a", "", RUNNING),
          "{\"metadata\":{\"name\":\"b\",\"namespace\":\"shop\"},\"spec\":{},"
          "\"status\":{\"phase\":\"Running\"}}" },
        { POD("a", "", RUNNING), POD("b", "", "{\"phase\":\"Pending\"}") },
        { POD("a", "", "{\"phase\":\"Unknown\"}"),
          POD("b", "", "{\"phase\":\"Pending\"}") },
        { POD("a", "", RUNNING), POD("b", "", "{\"phase\":\"Failed\"}") },
        { POD("a", "", READY("2026-01-02T00:00:00Z")), POD("b", "", RUNNING) },
        { POD("a", "", READY("2026-01-01T00:00:00Z")),
          POD("b", "", READY("2026-01-02T00:00:00Z")) },
        { POD("a", "", RUNNING),
          POD("b", ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"",
              READY("2026-01-01T00:00:00Z")) },
        { POD("a", "", RESTARTED("1")), POD("b", "", RESTARTED("2")) },
        { POD("a", CREATED("2026-01-01T00:00:00Z"), RUNNING),
          POD("b", CREATED("2026-01-02T00:00:00Z"), RUNNING) },
        { POD("a", CREATED("2026-01-01T00:00:00Z"), RUNNING), POD("b", "", RUNNING) },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(candidate_finish) struct candidate a = read_pod(cases[i].better);
        AUTO(candidate_finish) struct candidate b = read_pod(cases[i].worse);
        if (!candidate_is_better(&a, &b, NULL) || candidate_is_better(&b, &a, NULL))
            fail_msg("%s\n%s", cases[i].better, cases[i].worse);
    }
}

static void any_pod_is_better_than_none(void **state)
{
    (void)state;
    AUTO(candidate_finish) struct candidate a = read_pod(POD("a", "", "{}"));
    const struct candidate none = { 0 };

    assert_true(candidate_is_better(&a, &none, NULL));
    assert_false(candidate_is_running(&a));
}

static void the_present_pod_stays_among_its_equals(void **state)
{
    (void)state;
    AUTO(candidate_finish)
    struct candidate old = read_pod(POD("a", "", READY("2026-01-01T00:00:00Z")));
    AUTO(candidate_finish)
    struct candidate now = read_pod(POD("b", "", READY("2026-01-02T00:00:00Z")));
    AUTO(candidate_finish) struct candidate bad = read_pod(POD("c", "", RUNNING));

    assert_true(candidate_is_better(&now, &old, "shop/b/u-b"));
    assert_false(candidate_is_better(&old, &now, "shop/b/u-b"));
    assert_true(candidate_is_better(&old, &bad, "shop/c/u-c"));
}

static void what_is_no_pod_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "{}", "[]", "{\"metadata\":{\"name\":\"../x\"}}",
                                       "{\"metadata\":{\"name\":[]}}" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct candidate c = { 0 };
        struct diag why = { "" };
        json_t *o = parse(bad[i]);
        assert_int_not_equal(candidate_read(o, &c, &why), OK);
        assert_null(c.pod);
        json_decref(o);
    }
}

/* --- which port --- */

static const char pod_text[] =
    "{\"metadata\":{\"name\":\"web-1\"},\"spec\":{\"containers\":[{\"ports\":["
    "{\"name\":\"http\",\"containerPort\":8080},"
    "{\"name\":\"dns\",\"containerPort\":53,\"protocol\":\"UDP\"},"
    "{\"name\":\"both\",\"containerPort\":5353,\"protocol\":\"UDP\"},"
    "{\"containerPort\":5353,\"protocol\":\"TCP\"}]}],"
    "\"initContainers\":[{\"ports\":[{\"name\":\"side\",\"containerPort\":9000}]}]}}";

static const char service_text[] =
    "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":["
    "{\"name\":\"http\",\"port\":80,\"targetPort\":\"http\"},"
    "{\"name\":\"plain\",\"port\":81,\"targetPort\":8081},"
    "{\"name\":\"same\",\"port\":82},"
    "{\"name\":\"lost\",\"port\":83,\"targetPort\":\"nope\"},"
    "{\"name\":\"zero\",\"port\":84,\"targetPort\":0},"
    "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}]}}";

static const char headless_text[] =
    "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":["
    "{\"name\":\"http\",\"port\":80,\"targetPort\":\"http\"}]}}";

struct case_of_port {
    const char *service, *port;
    uint16_t local, remote;
    const char *error;
};

static void check_port(const struct case_of_port *c)
{
    AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
    const char *words[] = { "web-1", c->port };
    struct texts none = { 0 };
    struct forward_pair pair = { 0 };
    struct diag why = { "" };
    json_t *service = c->service ? parse(c->service) : NULL;
    json_t *pod = parse(pod_text);

    assert_int_equal(forward_words_parse(words, 2, NULL, &none, &specs, &why), OK);
    enum err e = ports_translate(&specs.at[0], service, pod, &pair, &why);
    if (!c->error != !e || (e && !strstr(why.text, c->error)))
        fail_msg("%s: %s", c->port, why.text);
    if (e && (pair.local || pair.remote))
        fail_msg("%s: written on failure: %u:%u", c->port, pair.local, pair.remote);
    if (!e && (pair.local != c->local || pair.remote != c->remote))
        fail_msg("%s: %u:%u", c->port, pair.local, pair.remote);
    json_decref(service);
    json_decref(pod);
}

static void ports_are_translated_as_kubectl_does(void **state)
{
    (void)state;
    static const struct case_of_port cases[] = {
        { NULL, "80", 80, 80, NULL },
        { NULL, "8080:80", 8080, 80, NULL },
        { NULL, ":80", 0, 80, NULL },
        { NULL, "http", 8080, 8080, NULL },
        { NULL, "http:http", 8080, 8080, NULL },
        { NULL, "1:http", 1, 8080, NULL },
        { NULL, "side", 9000, 9000, NULL },
        { NULL, "both", 5353, 5353, NULL },
        { NULL, "nope", 0, 0, "Pod 'web-1' does not have a named port 'nope'" },
        { NULL, "dns", 0, 0, "UDP protocol is not supported for dns" },
        { NULL, "53", 0, 0, "UDP protocol is not supported for 53" },
        { service_text, "80", 80, 8080, NULL },
        { service_text, "http", 80, 8080, NULL },
        { service_text, "1:http", 1, 8080, NULL },
        { service_text, "81", 81, 8081, NULL },
        { service_text, "82", 82, 82, NULL },
        { service_text, "84", 84, 84, NULL },
        { service_text, ":same", 0, 82, NULL },
        { service_text, "8080", 0, 0, "Service web does not have a service port 8080" },
        { service_text, "nope", 0, 0, "Service 'web' does not have a named port 'nope'" },
        { service_text, "83", 0, 0, "Pod 'web-1' does not have a named port 'nope'" },
        { service_text, "53", 0, 0, "UDP protocol is not supported for 53" },
        { service_text, "dns", 0, 0, "UDP protocol is not supported for dns" },
        { headless_text, "80", 80, 80, NULL },
        { headless_text, "http", 80, 80, NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_port(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_as_kubectl_does),
        cmocka_unit_test(any_pod_is_better_than_none),
        cmocka_unit_test(the_present_pod_stays_among_its_equals),
        cmocka_unit_test(what_is_no_pod_is_refused),
        cmocka_unit_test(ports_are_translated_as_kubectl_does),
    };
    return cmocka_run_group_tests_name("forward/pods", tests, NULL, NULL);
}
