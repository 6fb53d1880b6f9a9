/* tests/unit/route/route_test.c - which port of a service, and which endpoint, a request
 * is for
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/service.h"
#include "route/route.h"

#include "base/own.h"

/* clang-format off */
static struct service_port ports[] = {
    { .name = (char *)"admin", .number = 9000, .tcp = true, .target = 9001 },
    { .name = (char *)"dns", .number = 53, .tcp = false, .target = 53 },
    { .name = (char *)"http", .number = 80, .tcp = true, .target_name = (char *)"web" },
    { .name = (char *)"dns-tcp", .number = 53, .tcp = true, .target = 5353 },
    { .name = (char *)"metrics", .number = 9100, .tcp = false, .target = 9100 },
};
/* clang-format on */

static uint16_t pod_ports[] = { 9001, 53, 8080, 5353, 9100 };
static struct endpoint pod = { .ns = (char *)"shop",
                               .pod = (char *)"web-1",
                               .ip = (char *)"10.1.2.3",
                               .ports = pod_ports };
static struct endpoint *pods[] = { &pod };

static struct service web(void)
{
    return (struct service){
        .kind = SERVICE_NORMAL,
        .ns = (char *)"shop",
        .name = (char *)"web",
        .has_selector = true,
        .ports = ports,
        .port_count = ARRAY_LEN(ports),
        .endpoints = pods,
        .endpoint_count = 1,
    };
}

static void route_to(const char *host, uint16_t port, struct route *ret)
{
    memset(ret, 0, sizeof(*ret));
    name_parse(str_of(host), STR("cluster.local"), &ret->name);
    ret->port = port;
}

static void assert_index(const char *host, uint16_t port, const struct service *s,
                         size_t wanted)
{
    struct route r;
    struct diag why = { "" };
    size_t index = 99;

    route_to(host, port, &r);
    if (route_port(&r, s, &index, &why) != OK)
        fail_msg("%s:%u: %s", host, port, why.text);
    assert_int_equal(index, wanted);
}

static void assert_refused(const char *host, uint16_t port, const struct service *s,
                           enum err wanted, const char *words)
{
    struct route r;
    struct diag why = { "" };
    size_t index = 99;

    route_to(host, port, &r);
    enum err e = route_port(&r, s, &index, &why);
    if (e != wanted || !strstr(why.text, words))
        fail_msg("%s:%u: %s: \"%s\"", host, port, err_text(e), why.text);
    assert_int_equal(index, 99);
}

static void port_80_is_chosen_where_none_is_given(void **state)
{
    (void)state;
    struct service s = web();

    assert_index("web.shop", 0, &s, 2);
}

static void the_first_tcp_port_is_chosen_without_80(void **state)
{
    (void)state;
    struct service s = web();

    s.port_count = 2;
    assert_index("web.shop", 0, &s, 0);
    s.ports = ports + 1;
    s.port_count = 3;
    assert_index("web.shop", 0, &s, 1);
    s.ports = ports + 3;
    s.port_count = 2;
    assert_index("web.shop", 0, &s, 0);
}

/* The port for a TLS client whose request has none. */
static enum err tls_port(struct service_port *declared, size_t count, size_t *ret_index,
                         struct diag *why)
{
    struct service s = web();
    struct route r;

    s.ports = declared;
    s.port_count = count;
    route_to("web.shop.svc", 0, &r);
    r.tls = true;
    return route_port(&r, &s, ret_index, why);
}

static void the_tls_port_is_443_or_one_that_is_called_so(void **state)
{
    (void)state;
    struct service_port number[] = { { .name = "https", .number = 8443, .tcp = true },
                                     { .name = "x", .number = 443, .tcp = true } };
    struct service_port name[] = { { .name = "http", .number = 80, .tcp = true },
                                   { .name = "https-api", .number = 8443, .tcp = true } };
    struct service_port protocol[] = {
        { .name = "httpsx", .number = 1, .tcp = true },
        { .name = "b", .number = 2, .tcp = true, .app_protocol = "https" },
    };
    struct service_port udp[] = { { .name = "h3", .number = 443, .tcp = false } };
    struct diag why = { "" };
    size_t index = 99;

    assert_int_equal(tls_port(number, 2, &index, &why), OK);
    assert_int_equal(index, 1);
    assert_int_equal(tls_port(name, 2, &index, &why), OK);
    assert_int_equal(index, 1);
    assert_int_equal(tls_port(protocol, 2, &index, &why), OK);
    assert_int_equal(index, 1);
    assert_int_equal(tls_port(udp, 1, &index, &why), ERR_NO_PORT);
    assert_int_equal(tls_port(name, 1, &index, &why), ERR_NO_PORT);
    assert_non_null(strstr(why.text, "use http://: it declares 80 (http)"));
}

static enum port_tls tls_of(struct service_port port, struct route more)
{
    struct service s = { .ns = "shop", .name = "web", .ports = &port, .port_count = 1 };
    struct route r;

    route_to("web.shop.svc", port.number, &r);
    r.target_port = more.target_port;
    return route_port_tls(&r, &s, 0);
}

static void a_service_can_count_as_one_without_a_tls_port(void **state)
{
    (void)state;
    struct service_port both[] = { { .name = "http", .number = 80, .tcp = true },
                                   { .name = "https", .number = 443, .tcp = true } };
    struct service s = {
        .name = "web", .has_selector = true, .ports = both, .port_count = 2
    };
    struct route r = { .tls = true, .no_tls_port = true };
    struct diag why = { "" };
    size_t index = 99;

    assert_int_equal(route_port(&r, &s, &index, &why), ERR_NO_PORT);
    s.kind = SERVICE_POD;
    assert_int_equal(route_port(&r, &s, &index, &why), ERR_NO_PORT);
    s.kind = SERVICE_EXTERNAL;
    assert_int_equal(route_port(&r, &s, &index, &why), ERR_UNAVAILABLE);
    assert_int_equal(index, 99);
}

static void a_port_speaks_tls_by_declaration_or_by_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *name, *app_protocol;
        uint16_t number;
        enum port_tls expected;
    } rows[] = {
        { "http", NULL, 80, PORT_PLAIN },
        { "https", NULL, 80, PORT_TLS_DECLARED },
        { "https-api", NULL, 6443, PORT_TLS_DECLARED },
        { "tls", NULL, 9000, PORT_TLS_DECLARED },
        { "httpsomething", NULL, 9000, PORT_PLAIN },
        { "", NULL, 443, PORT_TLS_BY_NUMBER },
        { "web", NULL, 8443, PORT_TLS_BY_NUMBER },
        { "web", NULL, 9443, PORT_PLAIN },
        { "http", NULL, 443, PORT_PLAIN },
        { "http-admin", NULL, 443, PORT_PLAIN },
        { "grpc", NULL, 443, PORT_PLAIN },
        { "web", "https", 80, PORT_TLS_DECLARED },
        { "web", "HTTPS", 80, PORT_TLS_DECLARED },
        { "web", "kubernetes.io/wss", 80, PORT_TLS_DECLARED },
        { "https", "http", 443, PORT_PLAIN },
        { "https", "kubernetes.io/h2c", 443, PORT_PLAIN },
        { "https", "example.com/own", 80, PORT_TLS_DECLARED },
        { "web", "example.com/own", 443, PORT_TLS_BY_NUMBER },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct service_port port = { .name = rows[i].name,
                                     .number = rows[i].number,
                                     .tcp = true,
                                     .app_protocol = rows[i].app_protocol };
        if (tls_of(port, (struct route){ 0 }) != rows[i].expected)
            fail_msg("name \"%s\", number %u", rows[i].name, rows[i].number);
    }
}

/* What the service declares is not about the port of --target-port. */
static void another_target_port_speaks_tls_by_its_number_only(void **state)
{
    (void)state;
    struct service_port https = { .name = "https", .number = 443, .tcp = true };

    assert_int_equal(tls_of(https, (struct route){ .target_port = 8080 }), PORT_PLAIN);
    assert_int_equal(tls_of(https, (struct route){ .target_port = 8443 }),
                     PORT_TLS_BY_NUMBER);
}

static void a_port_of_a_pod_speaks_tls_by_its_number_only(void **state)
{
    (void)state;
    const struct service one = { .kind = SERVICE_POD, .ns = "shop", .name = "web-1" };
    struct route r;

    route_to("web-1.shop.pod", 8443, &r);
    assert_int_equal(route_port_tls(&r, &one, 0), PORT_TLS_BY_NUMBER);
    assert_int_equal(route_port_number(&r, &one, 0), 8443);
    route_to("web-1.shop.pod", 8080, &r);
    assert_int_equal(route_port_tls(&r, &one, 0), PORT_PLAIN);
    route_to("web-1.shop.pod", 0, &r);
    assert_int_equal(route_port_number(&r, &one, 0), 80);
}

static void a_given_port_is_chosen(void **state)
{
    (void)state;
    struct service s = web();

    assert_index("web.shop", 9000, &s, 0);
    assert_index("_admin._tcp.web.shop.svc", 0, &s, 0);
    assert_index("_http._tcp.web.shop.svc", 9000, &s, 2);
}

static void prefers_tcp_where_a_number_is_declared_twice(void **state)
{
    (void)state;
    struct service s = web();

    assert_index("web.shop", 53, &s, 3);
}

static void names_the_declared_ports_when_there_is_no_such_port(void **state)
{
    (void)state;
    struct service s = web();

    assert_refused("web.shop", 81, &s, ERR_NO_PORT,
                   "services \"web\" has no port 81: it declares 9000 (admin), "
                   "53 (dns, not TCP), 80 (http), ");
    assert_refused("_grpc._tcp.web.shop.svc", 0, &s, ERR_NO_PORT, "no port \"grpc\"");
    s.port_count = 0;
    assert_refused("web.shop", 81, &s, ERR_NO_PORT, "declares no ports");
    assert_refused("web.shop", 0, &s, ERR_NO_PORT, "declares no ports");
}

static void cuts_a_long_list_of_ports(void **state)
{
    (void)state;
    struct service_port many[100];
    struct service s = web();

    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct service_port){ .name = (char *)"a-rather-long1",
                                         .number = (uint16_t)(1000 + i),
                                         .tcp = true };
    s.ports = many;
    s.port_count = ARRAY_LEN(many);
    assert_refused("web.shop", 81, &s, ERR_NO_PORT, "1004 (a-rather-long1), ...");
}

static void a_port_that_is_not_tcp_is_refused(void **state)
{
    (void)state;
    struct service s = web();

    assert_refused("web.shop", 9100, &s, ERR_UNSUPPORTED, "carries TCP only");
    assert_refused("_dns._udp.web.shop.svc", 0, &s, ERR_UNSUPPORTED, "_dns._tcp");
    s.ports = ports + 1;
    s.port_count = 1;
    assert_refused("web.shop", 0, &s, ERR_UNSUPPORTED, "53 (dns, not TCP)");
}

static void refuses_a_service_without_pods_of_its_own(void **state)
{
    (void)state;
    struct service s = web();

    s.kind = SERVICE_EXTERNAL;
    s.external_name = (char *)"db.example.com";
    assert_refused("web.shop", 0, &s, ERR_UNAVAILABLE, "ExternalName for db.example.com");

    s = web();
    s.has_selector = false;
    assert_index("web.shop", 0, &s, 2);
    s.endpoint_count = 0;
    assert_refused("web.shop", 0, &s, ERR_UNAVAILABLE, "no selector");
}

static void a_pod_accepts_any_port(void **state)
{
    (void)state;
    struct service s = web();
    struct route r;

    s.kind = SERVICE_POD;
    s.port_count = 0;
    assert_index("web-1.shop.pod", 5432, &s, 0);
    route_to("web-1.shop.pod", 5432, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 5432);
    route_to("web-1.shop.pod", 0, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 80);
}

static void a_headless_service_without_ports_accepts_any_port(void **state)
{
    (void)state;
    struct service s = web();
    struct route r;

    s.headless = true;
    s.port_count = 0;
    assert_index("web.shop", 7777, &s, 0);
    route_to("web.shop", 7777, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 7777);
}

static void resolves_the_port_of_the_container(void **state)
{
    (void)state;
    struct service s = web();
    struct route r;

    route_to("web.shop", 0, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 2), 8080);
    s.headless = true;
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 9001);
    r.target_port = 3000;
    assert_int_equal(route_container_port(&r, &s, &pod, 2), 3000);
}

static void picks_an_endpoint_by_its_label(void **state)
{
    (void)state;
    struct endpoint e = { .pod = (char *)"db-0",
                          .hostname = (char *)"primary",
                          .ip = (char *)"fd00::" };
    struct route r;

    route_to("db.shop", 0, &r);
    assert_true(route_matches(&r, &e));
    route_to("db-0.db.shop.svc", 0, &r);
    assert_true(route_matches(&r, &e));
    route_to("primary.db.shop.svc", 0, &r);
    assert_true(route_matches(&r, &e));
    route_to("fd00--0.db.shop.svc", 0, &r);
    assert_true(route_matches(&r, &e));
    route_to("10-1-2-3.db.shop.svc", 0, &r);
    assert_false(route_matches(&r, &e));
    assert_true(route_matches(&r, &pod));
    route_to("db-1.db.shop.svc", 0, &r);
    assert_false(route_matches(&r, &e));
}

static void a_deployment_accepts_any_port_and_prefers_declared_ones(void **state)
{
    (void)state;
    struct service s = web();
    struct route r;

    s.kind = SERVICE_DEPLOYMENT;
    assert_index("web.shop.deploy", 0, &s, 2);
    assert_index("_admin._tcp.web.shop.deploy", 0, &s, 0);
    assert_index("web.shop.deploy", 9001, &s, 0);
    route_to("web.shop.deploy", 7777, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 7777);
    route_to("web.shop.deploy", 0, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 2), 8080);
    assert_refused("_grpc._tcp.web.shop.deploy", 0, &s, ERR_NO_PORT,
                   "deployments \"web\" has no port \"grpc\"");
    assert_refused("web.shop.deploy", 9100, &s, ERR_UNSUPPORTED, "TCP only");

    s.port_count = 0;
    assert_index("web.shop.deploy", 0, &s, 0);
    route_to("web.shop.deploy", 0, &r);
    assert_int_equal(route_container_port(&r, &s, &pod, 0), 80);
    assert_refused("_http._tcp.web.shop.deploy", 0, &s, ERR_NO_PORT, "no ports");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_80_is_chosen_where_none_is_given),
        cmocka_unit_test(the_first_tcp_port_is_chosen_without_80),
        cmocka_unit_test(the_tls_port_is_443_or_one_that_is_called_so),
        cmocka_unit_test(a_service_can_count_as_one_without_a_tls_port),
        cmocka_unit_test(a_port_speaks_tls_by_declaration_or_by_its_number),
        cmocka_unit_test(another_target_port_speaks_tls_by_its_number_only),
        cmocka_unit_test(a_port_of_a_pod_speaks_tls_by_its_number_only),
        cmocka_unit_test(a_given_port_is_chosen),
        cmocka_unit_test(prefers_tcp_where_a_number_is_declared_twice),
        cmocka_unit_test(names_the_declared_ports_when_there_is_no_such_port),
        cmocka_unit_test(cuts_a_long_list_of_ports),
        cmocka_unit_test(a_port_that_is_not_tcp_is_refused),
        cmocka_unit_test(refuses_a_service_without_pods_of_its_own),
        cmocka_unit_test(a_pod_accepts_any_port),
        cmocka_unit_test(a_headless_service_without_ports_accepts_any_port),
        cmocka_unit_test(resolves_the_port_of_the_container),
        cmocka_unit_test(picks_an_endpoint_by_its_label),
        cmocka_unit_test(a_deployment_accepts_any_port_and_prefers_declared_ones),
    };
    return cmocka_run_group_tests_name("route/route", tests, NULL, NULL);
}
