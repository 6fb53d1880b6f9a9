/* tests/unit/upstream/external_test.c - where an ExternalName leads */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "upstream/external.h"

static bool opens_shop(void *owner, struct str ns)
{
    (void)owner;
    return str_eq(ns, STR("shop"));
}

static struct external_rules rules;
static struct external external;
static struct diag why;

static int setup(void **state)
{
    (void)state;
    rules = (struct external_rules){ .zone = "cluster.local" };
    external = (struct external){ 0 };
    why = (struct diag){ 0 };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    external_finish(&external);
    return 0;
}

static void make_route(struct route *route, const char *host)
{
    *route = (struct route){ .port = 8080, .target_port = 9090 };
    name_parse(str_of(host), STR("cluster.local"), &route->name);
    assert_true(route->name.kind != NAME_INVALID);
}

/* From the ExternalName shop/NAME to TARGET, for a request whose host is `host`. */
static enum err follow_as(const char *host, const char *name, const char *target,
                          bool same_ns)
{
    struct route first;
    struct service s = { .ns = (char *)"shop",
                         .name = (char *)name,
                         .external_name = (char *)target };

    make_route(&first, host);
    return external_follow(&external, &rules, external.route ? external.route : &first,
                           &s, same_ns, &why);
}

static enum err follow(const char *name, const char *target)
{
    return follow_as("alias.shop", name, target, false);
}

static void assert_leads_to(const char *service, const char *ns)
{
    assert_non_null(external.route);
    assert_true(str_eq(external.route->name.service, str_of(service)));
    assert_true(str_eq(external.route->name.ns, str_of(ns)));
}

static void a_full_name_of_the_cluster_is_followed_with_both_ports(void **state)
{
    (void)state;
    assert_int_equal(follow("alias", "web.other.svc.cluster.local"), OK);
    assert_leads_to("web", "other");
    assert_int_equal(external.route->port, 8080);
    assert_int_equal(external.route->target_port, 9090);
}

static void a_port_name_is_kept(void **state)
{
    (void)state;
    assert_int_equal(follow_as("_http._tcp.alias.shop.svc", "alias",
                               "web.shop.svc.cluster.local", false),
                     OK);
    assert_true(str_eq(external.route->name.port_name, STR("http")));
    assert_false(external.route->name.udp);
}

static void a_name_of_the_found_domain_is_followed(void **state)
{
    (void)state;
    assert_int_equal(follow("alias", "web.shop.svc.corp.example"), ERR_UNAVAILABLE);
    external_finish(&external);
    rules.found_zone = "corp.example";
    assert_int_equal(follow("alias", "web.shop.svc.corp.example"), OK);
    assert_leads_to("web", "shop");
    external_finish(&external);
    assert_int_equal(follow("alias", "web.shop.svc.cluster.local"), OK);
}

static void other_names_are_explained(void **state)
{
    (void)state;
    static const char *const targets[] = { "www.example.org", "web.shop",
                                           "web.shop.svc",    "web.shop.localhost",
                                           "localhost",       "" };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        assert_int_equal(follow("alias", targets[i]), ERR_UNAVAILABLE);
        assert_null(external.route);
        assert_non_null(strstr(why.text, "is an ExternalName for"));
        assert_non_null(strstr(why.text, *targets[i] ? targets[i] : "nothing"));
        assert_non_null(strstr(why.text, "*.svc.cluster.local"));
        external_finish(&external);
    }
}

static void names_that_lead_back_are_a_loop(void **state)
{
    (void)state;
    assert_int_equal(follow("a", "b.shop.svc.cluster.local"), OK);
    assert_int_equal(follow("b", "a.shop.svc.cluster.local"), OK);
    assert_int_equal(follow("a", "b.shop.svc.cluster.local"), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "shop/a leads back to shop/a"));
    assert_non_null(strstr(why.text, "loop"));
}

static void the_ninth_name_on_the_way_is_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EXTERNAL_HOPS_MAX; i++) {
        AUTO_FREE char *name = xasprintf("a%u", i);
        assert_int_equal(follow(name, "web.shop.svc.cluster.local"), OK);
    }
    assert_int_equal(follow("a8", "web.shop.svc.cluster.local"), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "more than 8 ExternalNames, the last is shop/a8"));
}

static void a_denied_namespace_is_refused(void **state)
{
    (void)state;
    rules.is_open = opens_shop;
    assert_int_equal(follow("alias", "web.other.svc.cluster.local"), ERR_CLOSED);
    assert_non_null(strstr(why.text, "namespace other is closed"));
    external_finish(&external);
    assert_int_equal(follow("alias", "web.shop.svc.cluster.local"), OK);
}

static void a_browser_is_led_to_no_other_namespace(void **state)
{
    (void)state;
    assert_int_equal(
        follow_as("alias.shop", "alias", "web.other.svc.cluster.local", true),
        ERR_CLOSED);
    external_finish(&external);
    assert_int_equal(follow_as("alias.shop", "alias", "web.shop.svc.cluster.local", true),
                     OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_full_name_of_the_cluster_is_followed_with_both_ports),
        TEST(a_port_name_is_kept),
        TEST(a_name_of_the_found_domain_is_followed),
        TEST(other_names_are_explained),
        TEST(names_that_lead_back_are_a_loop),
        TEST(the_ninth_name_on_the_way_is_refused),
        TEST(a_denied_namespace_is_refused),
        TEST(a_browser_is_led_to_no_other_namespace),
    };
    return cmocka_run_group_tests_name("upstream/external", tests, NULL, NULL);
}
