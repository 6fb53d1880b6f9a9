/* tests/unit/serve/target_test.c - from target and Host to a route */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/target.h"

#include "base/own.h"
#include "serve/explain.h"

static struct http1_field room[32];
static struct http1_head head = { .fields = room, .room = ARRAY_LEN(room) };
static struct target target;
static struct refusal why;
static struct explanation page; /* of `why` */

/* Of the default domain. */
static struct rules rules_of(const struct config *c)
{
    static char zone[] = "cluster.local";
    static const struct naming naming = { .zone = zone };

    return (struct rules){ c, &naming };
}

/* The views in `target` point into `text`. */
static enum err read_target(const struct config *c, const char *text)
{
    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    const struct rules rules = rules_of(c);
    return target_read(&head, &rules, 80, &target, &why);
}

static void finds_the_service_in_every_form(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const struct {
        const char *text;
        enum name_kind kind;
        uint16_t port;
        const char *path;
    } cases[] = {
        { "GET /a?b HTTP/1.1\r\nHost: WEB.Shop.svc.cluster.local.\r\n\r\n", NAME_SERVICE,
          0, "/a?b" },
        { "GET /a#b HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n", NAME_SERVICE, 0, "/a" },
        { "GET http://web.shop/a?b#c?d HTTP/1.1\r\nHost: x\r\n\r\n", NAME_SERVICE, 0,
          "/a?b" },
        { "GET //a HTTP/1.1\r\nHost: web.shop.localhost:80\r\n\r\n", NAME_SERVICE, 0,
          "//a" },
        { "GET / HTTP/1.1\r\nHost: web.shop.svc:8080\r\n\r\n", NAME_SERVICE, 8080, "/" },
        { "GET / HTTP/1.1\r\nHost: db-0.db.shop.svc\r\n\r\n", NAME_ENDPOINT, 0, "/" },
        { "GET / HTTP/1.1\r\nHost: db-0.shop.pod:5432\r\n\r\n", NAME_POD, 5432, "/" },
        { "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", NAME_OWN, 0, "/" },
        { "GET / HTTP/1.0\r\n\r\n", NAME_OWN, 0, "/" },
        { "OPTIONS * HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n", NAME_SERVICE, 0, "*" },
        { "GET http://web.shop:80/a HTTP/1.1\r\nHost: x\r\n\r\n", NAME_SERVICE, 80,
          "/a" },
        { "GET http://web.shop/a HTTP/1.0\r\n\r\n", NAME_SERVICE, 0, "/a" },
        { "GET http://localhost:80/ HTTP/1.1\r\nHost: x\r\n\r\n", NAME_OWN, 80, "/" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_target(c, cases[i].text))
            fail_msg("%s\n%s", cases[i].text, cause_label(why.cause));
        assert_int_equal(target.route.name.kind, cases[i].kind);
        assert_int_equal(target.route.port, cases[i].port);
        assert_true(str_eq(target.path, str_of(cases[i].path)));
        assert_false(target.add_slash);
    }
}

static void the_host_field_is_replaced_where_the_target_differs(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(
        read_target(c, "GET http://web.shop HTTP/1.1\r\nHost: web.shop\r\n\r\n"), OK);
    assert_null(target.authority.at);
    assert_true(target.add_slash && str_empty(target.path));
    assert_int_equal(
        read_target(c, "GET http://web.shop?q HTTP/1.1\r\nHost: Web.shop\r\n\r\n"), OK);
    assert_true(str_eq(target.authority, STR("web.shop")));
    assert_true(target.add_slash && str_eq(target.path, STR("?q")));
}

static void carries_the_fixed_target_port(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    c->target_port = 8080;
    assert_int_equal(read_target(c, "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n"), OK);
    assert_int_equal(target.route.target_port, 8080);
}

static void targets_that_have_no_route_are_refused(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const struct {
        const char *text;
        enum cause cause;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: \r\n\r\n", CAUSE_HOST_INVALID },
        { "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", CAUSE_HOST_INVALID },
        { "GET / HTTP/1.1\r\nHost: web.shop:080x\r\n\r\n", CAUSE_HOST_INVALID },
        { "GET http:// HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_HOST_INVALID },
        { "GET http:/// HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_HOST_INVALID },
        { "GET http://u:p@web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n",
          CAUSE_HOST_INVALID },
        { "GET ftp://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_TARGET_FORM },
        { "GET https://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_TARGET_FORM },
        { "GET web.shop:80 HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_TARGET_FORM },
        { "GET * HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_TARGET_FORM },
        { "GET http://localhost:9999/ HTTP/1.1\r\nHost: localhost:9999\r\n\r\n",
          CAUSE_HOST_OUTSIDE },
        { "CONNECT web.shop HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_CONNECT_FORM },
        { "CONNECT web.shop:0 HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_CONNECT_FORM },
        { "CONNECT :80 HTTP/1.1\r\nHost: web.shop\r\n\r\n", CAUSE_CONNECT_FORM },
        { "CONNECT http://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n",
          CAUSE_CONNECT_FORM },
        { "CONNECT www.example.com:443 HTTP/1.1\r\nHost: a.b\r\n\r\n",
          CAUSE_HOST_OUTSIDE },
        { "CONNECT localhost:80 HTTP/1.1\r\nHost: a.b\r\n\r\n", CAUSE_HOST_OUTSIDE },
        { "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a.b\r\n\r\n", CAUSE_HOST_OUTSIDE },
        { "CONNECT [::1]:80 HTTP/1.1\r\nHost: a.b\r\n\r\n", CAUSE_HOST_OUTSIDE },
        { "CONNECT 2130706433:80 HTTP/1.1\r\nHost: a.b\r\n\r\n", CAUSE_HOST_OUTSIDE },
        { "GET http://www.example.com/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
          CAUSE_HOST_OUTSIDE },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (!read_target(c, cases[i].text) || why.cause != cases[i].cause)
            fail_msg("%s\nwas accepted, or refused as %s", cases[i].text,
                     cause_label(why.cause));
        assert_null(strstr(target.path.len ? target.path.at : "", "u:p@"));
    }
}

static void reads_host_and_port_of_connect(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(
        read_target(c, "CONNECT web.shop:5432 HTTP/1.1\r\nHost: a.b\r\n\r\n"), OK);
    assert_true(target.connect);
    assert_int_equal(target.route.port, 5432);
    assert_true(str_eq(target.route.name.service, STR("web")));
    assert_int_equal(
        read_target(
            c, "CONNECT db-0.db.shop.svc.cluster.local:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        OK);
    assert_int_equal(target.route.name.kind, NAME_ENDPOINT);
    assert_int_equal(read_target(c, "CONNECT 10.96.0.7:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
                     OK);
    assert_int_equal(target.route.name.kind, NAME_ADDRESS);
    assert_string_equal(target.route.name.address, "10.96.0.7");
    assert_int_equal(read_target(c, "CONNECT [FD00::7]:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
                     OK);
    assert_string_equal(target.route.name.address, "fd00::7");
}

static enum err read_short(enum auto_bool setting, bool in_pod, const char *text)
{
    AUTO(config_unrefp) struct config *c = config_default();

    c->short_names = setting;
    c->in_pod = in_pod;
    return read_target(c, text);
}

/* A domain of that name may exist, and may be pointed at this machine. */
static void refuses_two_label_host_outside_a_pod(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: web.shop\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: WEB.shop.\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: web.shop:8080\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: web.shop\r\n\r\n",
        "POST //a HTTP/1.1\r\nHost: web.shop:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: web.shop\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        assert_int_equal(read_short(AUTO_BOOL_AUTO, false, heads[i]), ERR_FORBIDDEN);
        explain(&why, NULL, &page);
        assert_int_equal(why.cause, CAUSE_SHORT_NAME);
        assert_string_equal(page.first, "Forbidden: short name web.shop");
        assert_non_null(strstr(page.hint, "http://web.shop.localhost/"));
        assert_int_equal(read_short(AUTO_BOOL_FALSE, true, heads[i]), ERR_FORBIDDEN);
        assert_int_equal(read_short(AUTO_BOOL_AUTO, true, heads[i]), OK);
        assert_int_equal(read_short(AUTO_BOOL_TRUE, false, heads[i]), OK);
    }
}

static void accepts_two_labels_in_an_absolute_target(void **state)
{
    (void)state;
    const char *text = "GET http://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n";

    assert_int_equal(read_short(AUTO_BOOL_FALSE, false, text), OK);
    assert_int_equal(target.route.name.kind, NAME_SERVICE);
}

static void the_error_names_the_url_that_works(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const struct {
        const char *path, *url;
    } cases[] = {
        { "/a/b?c=d&e", " http://web.shop.localhost:8080/a/b?c=d&e " },
        { "/$(reboot)", " http://web.shop.localhost:8080/ " },
        { "/`x`", " http://web.shop.localhost:8080/ " },
        { "/'", " http://web.shop.localhost:8080/ " },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *text =
            xasprintf("GET %s HTTP/1.1\r\nHost: web.shop\r\n\r\n", cases[i].path);
        const struct rules rules = rules_of(c);
        assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
        assert_int_equal(target_read(&head, &rules, 8080, &target, &why), ERR_FORBIDDEN);
        explain(&why, NULL, &page);
        if (!strstr(page.hint, cases[i].url))
            fail_msg("%s: %s", cases[i].path, page.hint);
    }
}

static enum err read_proxied(const struct config *c, const char *text, bool outside)
{
    struct rules rules = rules_of(c);

    rules.outside = outside;
    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    return target_read(&head, &rules, 80, &target, &why);
}

static void hosts_outside_are_targets_of_proxy_requests_where_allowed(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        { "CONNECT www.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", "www.example.com",
          443 },
        { "CONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n", "example.com", 80 },
        { "GET http://Example.com/x HTTP/1.1\r\nHost: a\r\n\r\n", "example.com", 80 },
        { "GET http://a.b.example.com:443/ HTTP/1.1\r\nHost: a\r\n\r\n",
          "a.b.example.com", 443 },
        { "GET http://192.0.2.7/ HTTP/1.1\r\nHost: a\r\n\r\n", "192.0.2.7", 80 },
        { "GET http://[2001:db8::7]/ HTTP/1.1\r\nHost: a\r\n\r\n", "2001:db8::7", 80 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_proxied(c, cases[i].text, true) ||
            target.route.name.kind != NAME_OUTSIDE ||
            strcmp(target.route.name.text, cases[i].host) != 0 ||
            target.route.port != cases[i].port)
            fail_msg("%s: %s", cases[i].text, target.route.name.text);
        enum err e = read_proxied(c, cases[i].text, false);
        if (!e && target.route.name.kind == NAME_OUTSIDE)
            fail_msg("%s: without --proxy-outside", cases[i].text);
    }
}

static void names_of_the_cluster_and_this_machine_are_never_outside(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const char *const hosts[] = {
        "web.shop.svc",
        "web.shop.svc.cluster.local",
        "x.cluster.local",
        "a.b.c.localhost",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "web.svc",
        "a.k8s",
        "web_.$.example.x",
        "www..example.com",
        "cluster.local",
        "db-0.shop.pod",
        "127.1",
        "-.shop.deploy",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        AUTO_FREE char *text =
            xasprintf("CONNECT %s:80 HTTP/1.1\r\nHost: a\r\n\r\n", hosts[i]);
        enum err e = read_proxied(c, text, true);
        if (!e && target.route.name.kind == NAME_OUTSIDE)
            fail_msg("%s is outside", hosts[i]);
    }
}

static void two_labels_are_a_service_with_short_names(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    c->short_names = AUTO_BOOL_TRUE;
    assert_int_equal(
        read_proxied(c, "CONNECT web.shop:80 HTTP/1.1\r\nHost: a\r\n\r\n", true), OK);
    assert_int_equal(target.route.name.kind, NAME_SERVICE);
}

static void ports_outside_have_to_be_listed(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(
        read_proxied(c, "CONNECT a.example.com:25 HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ERR_FORBIDDEN);
    assert_int_equal(why.cause, CAUSE_OUTSIDE_PORT);
    explain(&why, NULL, &page);
    assert_non_null(strstr(page.first, "port 25 of a.example.com"));
}

static void an_address_may_be_outside_if_its_port_is_listed(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(
        read_proxied(c, "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: a\r\n\r\n", true), OK);
    assert_int_equal(target.route.name.kind, NAME_ADDRESS);
    assert_true(target.route.outside);
    assert_int_equal(
        read_proxied(c, "CONNECT 192.0.2.7:25 HTTP/1.1\r\nHost: a\r\n\r\n", true), OK);
    assert_false(target.route.outside);
    assert_int_equal(
        read_proxied(c, "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: a\r\n\r\n", false), OK);
    assert_false(target.route.outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_service_in_every_form),
        cmocka_unit_test(the_host_field_is_replaced_where_the_target_differs),
        cmocka_unit_test(carries_the_fixed_target_port),
        cmocka_unit_test(targets_that_have_no_route_are_refused),
        cmocka_unit_test(reads_host_and_port_of_connect),
        cmocka_unit_test(refuses_two_label_host_outside_a_pod),
        cmocka_unit_test(accepts_two_labels_in_an_absolute_target),
        cmocka_unit_test(the_error_names_the_url_that_works),
        cmocka_unit_test(hosts_outside_are_targets_of_proxy_requests_where_allowed),
        cmocka_unit_test(names_of_the_cluster_and_this_machine_are_never_outside),
        cmocka_unit_test(two_labels_are_a_service_with_short_names),
        cmocka_unit_test(ports_outside_have_to_be_listed),
        cmocka_unit_test(an_address_may_be_outside_if_its_port_is_listed),
    };
    return cmocka_run_group_tests_name("serve/target", tests, NULL, NULL);
}
