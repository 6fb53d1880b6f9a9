/* tests/unit/serve/explain_test.c - each cause of a refusal has its status and its text */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/name.h"
#include "route/route.h"
#include "serve/explain.h"

#include "base/own.h"
#include "net/peer.h"
#include "serve/explain_lease.h"
#include "upstream/lease.h"
#include "upstream/tls_failure.h"

static void texts_longer_than_their_room_are_cut(void **state)
{
    (void)state;
    struct explanation e;
    char text[4000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    explanation_begin(&e, "title");
    explanation_first(&e, "%s", text);
    explanation_detail(&e, "%s", text);
    explanation_hint(&e, "%s", text);
    assert_int_equal(strlen(e.first), sizeof(e.first) - 1);
    assert_memory_equal(e.first, "titlex", 6);
    struct refusal r = { .cause = CAUSE_HOST_INVALID,
                         .subject = str_of(text),
                         .problem = "too long",
                         .zone = "cluster.local" };
    explain(&r, NULL, &e);
    assert_string_equal(e.first, "Invalid host");
    assert_non_null(strstr(e.detail, "x\": too long."));
}

/* Labels are an interface: scripts look for them. */
static void labels_are_unique_lower_case_words(void **state)
{
    (void)state;

    for (int i = 0; i <= CAUSE_POD_SPEAKS_HTTP2; i++) {
        const char *label = cause_label((enum cause)i);
        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-"),
                         strlen(label));
        assert_in_range(cause_status((enum cause)i), 400, 599);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(label, cause_label((enum cause)j));
    }
}

/* Every cause, with all facts that any of them needs. */
static void every_cause_has_a_first_line_that_begins_with_its_title(void **state)
{
    (void)state;
    const struct tls_failure failure = { .service = "shop/web" };
    struct lease lease = { .result = ERR_SERVER, .port = 80, .tls_failure = &failure };
    struct peer peer = { .kind = PEER_LOCAL, .uid = 1000 };
    struct route route = { 0 };

    name_parse(STR("web.shop.svc"), STR("cluster.local"), &route.name);
    for (int i = 0; i <= CAUSE_POD_SPEAKS_HTTP2; i++) {
        enum cause cause = (enum cause)i;
        bool of_lease = cause == CAUSE_NAMESPACE_CLOSED || cause >= CAUSE_CONTEXT_UNKNOWN;
        struct refusal r = {
            .cause = cause,
            .subject = STR("subject"),
            .problem = "problem",
            .name = &route.name,
            .zone = "cluster.local",
            .port = 80,
            .lease = of_lease ? &lease : NULL,
            .route = of_lease ? &route : NULL,
            .peer = &peer,
            .flag = "--clients any",
            .link = "http://localhost/login/",
        };
        struct explanation e;
        explain(&r, NULL, &e);
        if (!str_starts(str_of(e.first), str_of(cause_title(cause))) ||
            (cause != CAUSE_HOST_INVALID &&
             strlen(e.first) == strlen(cause_title(cause))))
            fail_msg("%s: \"%s\"", cause_label(cause), e.first);
    }
}

/* The text has every fact of a certificate, and the settings that accept it. */
static void a_refused_certificate_is_named_with_its_settings(void **state)
{
    (void)state;
    const struct tls_failure failure = {
        .fault = TLS_FAULT_CERTIFICATE,
        .declared = true,
        .port = 443,
        .service = "shop/web",
        .why.text = "the certificate of web.shop.svc is self-signed",
        .certificate = { .subject = "CN = web",
                         .issuer = "CN = other",
                         .names = "a.b",
                         .expires = "2026-01-01 00:00:00 UTC",
                         .sha256 = "ab12" },
    };
    static const char *const facts[] = {
        "port 443 of shop/web, which the service declares to speak TLS",
        "Subject: CN = web; issuer: CN = other; expires: 2026-01-01 00:00:00 UTC; "
        "names: a.b.",
    };
    static const char *const hints[] = { "tls: {shop/web: {ca: FILE}}",
                                         "tls: {shop/web: {server-name: NAME}}",
                                         "tls: {shop/web: {pin: ab12}}",
                                         "tls: {shop/web: {verify: none}}" };
    struct lease lease = { .result = ERR_TLS, .port = 8443, .tls_failure = &failure };
    struct route route = { 0 };
    struct refusal r;
    struct explanation e;

    refusal_of_lease(&lease, &route, &r);
    assert_int_equal(r.cause, CAUSE_TLS_CERTIFICATE);
    explain(&r, NULL, &e);
    assert_string_equal(e.first, "Certificate not accepted for shop/web: the certificate "
                                 "of web.shop.svc is self-signed");
    for (size_t i = 0; i < ARRAY_LEN(facts); i++)
        assert_non_null(strstr(e.detail, facts[i]));
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        assert_non_null(strstr(e.hint, hints[i]));
}

static void other_failures_of_tls_have_causes_of_their_own(void **state)
{
    (void)state;
    static const struct {
        enum tls_fault fault;
        enum cause cause;
        const char *hint;
    } rows[] = {
        { TLS_NO_FAULT, CAUSE_TLS_TIMEOUT, "--dial-timeout" },
        { TLS_FAULT_NOT_TLS, CAUSE_TLS_FAILED, "appProtocol" },
        { TLS_FAULT_PROTOCOL, CAUSE_TLS_FAILED, "TLS 1.2 and 1.3" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct tls_failure failure = { .fault = rows[i].fault,
                                             .service = "shop/web",
                                             .why.text = "why" };
        struct lease lease = { .result = ERR_TLS, .tls_failure = &failure };
        struct route route = { 0 };
        struct refusal r;
        struct explanation e;
        refusal_of_lease(&lease, &route, &r);
        assert_int_equal(r.cause, rows[i].cause);
        explain(&r, NULL, &e);
        assert_string_equal(e.first, "TLS failed for shop/web: why");
        assert_non_null(strstr(e.hint, rows[i].hint));
    }
}

static void the_reason_for_tls_is_named(void **state)
{
    (void)state;
    static const struct {
        bool declared, has_rule;
        const char *reason;
    } rows[] = {
        { true, true, "which the service declares to speak TLS" },
        { false, true, "for which the setting tls has a rule" },
        { false, false, "whose number means TLS" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct tls_failure failure = { .fault = TLS_FAULT_NOT_TLS,
                                             .declared = rows[i].declared,
                                             .has_rule = rows[i].has_rule,
                                             .service = "shop/web" };
        struct lease lease = { .result = ERR_TLS, .tls_failure = &failure };
        struct route route = { 0 };
        struct refusal r;
        struct explanation e;
        refusal_of_lease(&lease, &route, &r);
        explain(&r, NULL, &e);
        assert_non_null(strstr(e.detail, rows[i].reason));
    }
}

static void context_is_added_to_the_hint(void **state)
{
    (void)state;
    struct explanation e;

    explain(&(struct refusal){ .cause = CAUSE_PROTOCOL }, "prod", &e);
    assert_string_equal(e.hint, "Use http:// URLs.\nThis is context prod; kubectl takes "
                                "--context for it.");
}

/* The cause and the text for a lease that failed like this, on the way to "web.shop" or to a
 * pod. */
static struct explanation refused(enum err result, bool dialling, const char *why,
                                  const char *host, enum cause cause)
{
    struct route *route = xcalloc(1, sizeof(*route));
    struct lease lease = { .result = result, .dialling = dialling, .port = 80 };
    struct refusal r;
    struct explanation e;

    name_parse(str_of(host), STR("cluster.local"), &route->name);
    diag_set(&lease.why, result, "%s", why);
    refusal_of_lease(&lease, route, &r);
    assert_int_equal(r.cause, cause);
    explain(&r, NULL, &e);
    free(route);
    return e;
}

static void a_failed_port_forward_has_a_hint_for_its_cause(void **state)
{
    (void)state;
    static const struct {
        enum err result;
        enum cause cause;
        const char *why, *detail, *hint;
    } cases[] = {
        { ERR_UNAUTHORIZED, CAUSE_DIAL_UNAUTHORIZED, "Unauthorized",
          "does not accept the credentials (401)", "expired: kubectl get namespaces" },
        { ERR_SERVER, CAUSE_DIAL_NODE, "error dialing backend: EOF",
          "could not open a port-forward", "kubectl get nodes" },
        { ERR_CONNECT, CAUSE_DIAL_API_SERVER,
          "cannot reach 127.0.0.1:9: Connection refused",
          "could not be reached for a port-forward", "up: kubectl get namespaces" },
        { ERR_SERVER, CAUSE_DIAL_FAILED, "boom", "could not open a port-forward", "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explanation r =
            refused(cases[i].result, true, cases[i].why, "web.shop", cases[i].cause);
        assert_int_equal(cause_status(cases[i].cause), 502);
        assert_non_null(strstr(r.first, cases[i].why));
        assert_non_null(strstr(r.detail, cases[i].detail));
        assert_non_null(strstr(r.hint, cases[i].hint));
        assert_int_equal(r.hint[0] == '\0', cases[i].hint[0] == '\0');
    }
}

/* No port-forward is blamed where there was none. */
static void a_failed_direct_connection_has_a_hint_for_its_cause(void **state)
{
    (void)state;
    static const struct {
        enum err result;
        enum cause cause;
        const char *detail, *hint;
    } cases[] = {
        { ERR_CONNECT, CAUSE_DIAL_DIRECT, "was not connected to at its address",
          "--upstream tunnel" },
        { ERR_ACCESS, CAUSE_DIAL_DIRECT, "was not connected to at its address",
          "--upstream tunnel" },
        { ERR_FORBIDDEN, CAUSE_DIAL_DIRECT, "was not connected to at its address",
          "the verb \"get\" on \"pods\"" },
        { ERR_TIMEOUT, CAUSE_DIAL_TIMEOUT, "could not give the address of pod", "" },
    };
    struct route route = { 0 };

    name_parse(STR("web.shop.svc"), STR("cluster.local"), &route.name);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lease lease = { .result = cases[i].result,
                               .dialling = true,
                               .direct = true };
        struct refusal r;
        struct explanation e;
        if (cases[i].result == ERR_FORBIDDEN) {
            lease.missing_verb = "get";
            lease.missing_resource = "pods";
        }
        refusal_of_lease(&lease, &route, &r);
        assert_int_equal(r.cause, cases[i].cause);
        explain(&r, NULL, &e);
        assert_non_null(strstr(e.detail, cases[i].detail));
        assert_non_null(strstr(e.hint, cases[i].hint));
        assert_null(strstr(e.detail, "port-forward"));
    }
}

static void kube_tunnel_list_is_a_hint_for_services_only(void **state)
{
    (void)state;
    struct explanation service =
        refused(ERR_NOT_FOUND, false, "gone", "web.shop", CAUSE_LOOKUP_NOT_FOUND);
    struct explanation pod =
        refused(ERR_NOT_FOUND, false, "gone", "web-1.shop.pod", CAUSE_LOOKUP_NOT_FOUND);

    assert_string_equal(
        service.hint,
        "See what there is: kubectl -n shop get services, or kube-tunnel list -n shop");
    assert_string_equal(pod.hint, "See what there is: kubectl -n shop get pods");
}

static struct explanation of_stream(const struct lease *lease, enum cause cause,
                                    const char *problem, enum cause found)
{
    struct refusal r;
    struct explanation e;

    refusal_of_stream(lease, cause, problem, &r);
    assert_int_equal(r.cause, found);
    explain(&r, NULL, &e);
    return e;
}

static void a_response_that_is_not_http_is_no_missing_response(void **state)
{
    (void)state;
    struct lease lease = { .port = 22 };

    struct explanation e =
        of_stream(&lease, CAUSE_POD_NOT_HTTP1, "no status line", CAUSE_POD_NOT_HTTP1);
    assert_string_equal(
        e.first,
        "Port-forward failed for ?/?: the response is not HTTP/1.1: no status line");
    assert_non_null(strstr(e.detail, "did not respond in HTTP/1.1"));
    assert_non_null(strstr(e.hint, "--expose SVC.NS:PORT"));

    e = of_stream(&lease, CAUSE_POD_NOT_SWITCHED, "it did not", CAUSE_POD_NOT_SWITCHED);
    assert_non_null(strstr(e.first, "the response is no WebSocket: it did not"));
    assert_null(strstr(e.detail, "HTTP/1.1"));

    e = of_stream(&lease, CAUSE_POD_TIMEOUT, "no answer", CAUSE_POD_TIMEOUT);
    assert_non_null(strstr(e.detail, "sent no response"));
    assert_non_null(strstr(e.hint, "--response-timeout"));

    /* The pod's own words do not choose the page. */
    e = of_stream(&lease, CAUSE_POD_NO_RESPONSE, "the response is not HTTP/1.1",
                  CAUSE_POD_NO_RESPONSE);
    assert_non_null(strstr(e.detail, "sent no response"));
    assert_non_null(strstr(e.hint, "kubectl -n ? logs"));

    struct stream stream = { .end.verdict = V_REFUSED };
    lease.stream = &stream;
    e = of_stream(&lease, CAUSE_POD_NO_RESPONSE, "refused", CAUSE_POD_REFUSED);
    assert_non_null(strstr(e.detail, "Nothing accepts connections on port 22"));
    assert_non_null(strstr(e.hint, "listens on the pod's address only"));
    lease.via.kind = 'd';
    e = of_stream(&lease, CAUSE_POD_NO_RESPONSE, "refused", CAUSE_POD_REFUSED);
    assert_non_null(strstr(e.hint, "listens on localhost in the pod only"));
}

static void each_result_of_a_lease_has_its_cause(void **state)
{
    (void)state;
    static const struct {
        enum err result;
        bool dialling;
        enum cause cause;
        int status;
    } cases[] = {
        /* clang-format off */
        { ERR_NOT_CONFIGURED,   false, CAUSE_CONTEXT_UNKNOWN,     404 },
        { ERR_CONFIG,       false, CAUSE_CONTEXT_UNUSABLE,    502 },
        { ERR_CLOSED,       false, CAUSE_NAMESPACE_CLOSED,    403 },
        { ERR_UNAVAILABLE,  false, CAUSE_NO_POD,              503 },
        { ERR_UNSUPPORTED,  false, CAUSE_NOT_TCP,             501 },
        { ERR_CREDENTIALS,  true,  CAUSE_CREDENTIALS,         502 },
        { ERR_NOT_FOUND,    false, CAUSE_LOOKUP_NOT_FOUND,    404 },
        { ERR_NO_PORT,      false, CAUSE_LOOKUP_PORT,         404 },
        { ERR_LOOP,         false, CAUSE_LOOKUP_LOOP,         508 },
        { ERR_FORBIDDEN,    false, CAUSE_LOOKUP_FORBIDDEN,    502 },
        { ERR_UNAUTHORIZED, false, CAUSE_LOOKUP_UNAUTHORIZED, 502 },
        { ERR_TIMEOUT,      false, CAUSE_LOOKUP_TIMEOUT,      504 },
        { ERR_THROTTLED,    false, CAUSE_LOOKUP_THROTTLED,    503 },
        { ERR_SERVER,       false, CAUSE_LOOKUP_FAILED,       502 },
        { ERR_TIMEOUT,      true,  CAUSE_DIAL_TIMEOUT,        504 },
        { ERR_THROTTLED,    true,  CAUSE_DIAL_THROTTLED,      503 },
        { ERR_RESOLVE,      true,  CAUSE_DIAL_API_SERVER,     502 },
        { ERR_FORBIDDEN,    true,  CAUSE_DIAL_FAILED,         502 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        refused(cases[i].result, cases[i].dialling, "why", "web.shop.svc",
                cases[i].cause);
        assert_int_equal(cause_status(cases[i].cause), cases[i].status);
    }
}

static void credentials_explain_themselves_at_the_command_line(void **state)
{
    (void)state;
    struct explanation e;

    explanation_begin(&e, "");
    explain_access(ERR_CONNECT, &e);
    assert_string_equal(e.detail, "");
    explain_access(ERR_UNAUTHORIZED, &e);
    assert_non_null(strstr(e.detail, "(401)"));
    explain_access(ERR_CREDENTIALS, &e);
    assert_non_null(strstr(e.hint, "Once they are renewed (log in again"));
}

static void a_service_without_pods_is_not_sent_to_its_pods(void **state)
{
    (void)state;
    struct lease lease = { .result = ERR_UNAVAILABLE, .retry_after = 2 };
    struct route route = { 0 };
    struct refusal r;
    struct explanation e;

    name_parse(STR("web.shop.svc"), STR("cluster.local"), &route.name);
    refusal_of_lease(&lease, &route, &r);
    explain(&r, NULL, &e);
    assert_string_equal(e.first, "No running pod for web/shop");
    assert_int_equal(e.retry_after, 2);
    assert_non_null(strstr(e.hint, "kubectl -n shop get service web"));
    lease.has_pods = true;
    refusal_of_lease(&lease, &route, &r);
    explain(&r, NULL, &e);
    assert_non_null(strstr(e.hint, "kubectl -n shop get pods"));
}

static void a_port_that_is_not_tcp_is_not_a_missing_pod(void **state)
{
    (void)state;
    struct lease lease = { .result = ERR_UNSUPPORTED };
    struct route route = { 0 };
    struct refusal r;
    struct explanation e;

    name_parse(STR("dns.shop.svc"), STR("cluster.local"), &route.name);
    diag_set(&lease.why, OK, "a port-forward carries TCP only");
    refusal_of_lease(&lease, &route, &r);
    explain(&r, NULL, &e);
    assert_int_equal(r.cause, CAUSE_NOT_TCP);
    assert_string_equal(
        e.first, "Cannot forward to service shop/dns: a port-forward carries TCP only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_longer_than_their_room_are_cut),
        cmocka_unit_test(labels_are_unique_lower_case_words),
        cmocka_unit_test(every_cause_has_a_first_line_that_begins_with_its_title),
        cmocka_unit_test(a_refused_certificate_is_named_with_its_settings),
        cmocka_unit_test(other_failures_of_tls_have_causes_of_their_own),
        cmocka_unit_test(the_reason_for_tls_is_named),
        cmocka_unit_test(context_is_added_to_the_hint),
        cmocka_unit_test(a_failed_port_forward_has_a_hint_for_its_cause),
        cmocka_unit_test(a_failed_direct_connection_has_a_hint_for_its_cause),
        cmocka_unit_test(kube_tunnel_list_is_a_hint_for_services_only),
        cmocka_unit_test(a_response_that_is_not_http_is_no_missing_response),
        cmocka_unit_test(each_result_of_a_lease_has_its_cause),
        cmocka_unit_test(credentials_explain_themselves_at_the_command_line),
        cmocka_unit_test(a_service_without_pods_is_not_sent_to_its_pods),
        cmocka_unit_test(a_port_that_is_not_tcp_is_not_a_missing_pod),
    };
    return cmocka_run_group_tests_name("serve/explain", tests, NULL, NULL);
}
