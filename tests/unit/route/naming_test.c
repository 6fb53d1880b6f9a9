/* tests/unit/route/naming_test.c - aliases and the domain that was found */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/naming.h"

#include "base/own.h"

static int set_up(void **state)
{
    struct naming *n = xcalloc(1, sizeof(*n));

    naming_init(n, "cluster.local");
    *state = n;
    return 0;
}

static int tear_down(void **state)
{
    naming_finish(*state);
    free(*state);
    return 0;
}

static void add(struct naming *n, const char *name, const char *target, const char *port)
{
    struct diag why = { "" };
    struct str p = port ? str_of(port) : (struct str){ 0 };

    if (naming_add_alias(n, str_of(name), str_of(target), p, &why))
        fail_msg("%s=%s: %s", name, target, why.text);
}

static void assert_refused(struct naming *n, const char *name, const char *target,
                           const char *words)
{
    struct diag why = { "" };
    size_t count = n->alias_count;
    enum err e =
        naming_add_alias(n, str_of(name), str_of(target), (struct str){ 0 }, &why);

    if (e != ERR_CONFIG || !strstr(why.text, words))
        fail_msg("%s=%s: %s: \"%s\"", name, target, err_text(e), why.text);
    assert_int_equal(n->alias_count, count);
}

static void an_alias_is_read_as_its_target(void **state)
{
    struct naming *n = *state;
    static const char *const hosts[] = { "shop", "SHOP", "shop.", "shop.localhost",
                                         "Shop.LocalHost." };

    add(n, "Shop", "web.shop", "8080");
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name name;
        uint16_t port = 1;
        naming_read(n, str_of(hosts[i]), &name, &port);
        assert_int_equal(name.kind, NAME_SERVICE);
        assert_int_equal(name.suffix, NAME_SUFFIX_ALIAS);
        assert_true(str_eq(name.service, STR("web")) && str_eq(name.ns, STR("shop")));
        assert_int_equal(port, 8080);
    }
}

static void an_exchange_keeps_added_aliases(void **state)
{
    struct naming *n = *state, next;

    naming_init(&next, "cluster.local");
    add(n, "configured", "web.shop", NULL);
    add(n, "front", "web.shop", "80");
    add(n, "taken", "web.shop", "80");
    n->aliases[1]->added = n->aliases[2]->added = true;
    add(&next, "taken", "db.shop", "81");
    naming_exchange_aliases(n, &next);
    assert_int_equal(n->alias_count, 2);
    assert_int_equal(next.alias_count, 2);
    assert_int_equal(n->by_name.count, 2);
    assert_string_equal(n->aliases[0]->name, "taken");
    assert_int_equal(n->aliases[0]->port, 81);
    assert_string_equal(n->aliases[1]->name, "front");
    assert_true(naming_remove_alias(n, STR("front")));
    naming_finish(&next);
}

static void hosts_that_are_no_alias_are_read_as_names(void **state)
{
    struct naming *n = *state;
    struct name name;
    uint16_t port = 1;

    add(n, "shop", "web.shop", "8080");
    naming_read(n, STR("web.shop.localhost"), &name, &port);
    assert_int_equal(name.suffix, NAME_SUFFIX_LOCALHOST);
    assert_int_equal(port, 0);
    naming_read(n, STR("shop.example"), &name, NULL);
    assert_int_equal(name.suffix, NAME_SUFFIX_NONE);
    naming_read(n, STR("x.shop.localhost"), &name, NULL);
    assert_int_equal(name.suffix, NAME_SUFFIX_LOCALHOST);
    naming_read(n, STR("shopp"), &name, NULL);
    assert_int_equal(name.kind, NAME_INVALID);
    naming_read(n, STR(".localhost"), &name, NULL);
    assert_int_equal(name.kind, NAME_INVALID);
    naming_read(n, STR(""), &name, NULL);
    assert_int_equal(name.kind, NAME_OWN);
}

static void a_target_may_have_any_form(void **state)
{
    struct naming *n = *state;
    static const struct {
        const char *target, *port;
        enum name_kind kind;
        const char *port_name;
    } cases[] = {
        { "web.shop.svc.cluster.local.", NULL, NAME_SERVICE, "" },
        { "web.shop.svc", "http", NAME_SERVICE, "http" },
        { "web.shop", "http", NAME_SERVICE, "http" },
        { "web.shop.localhost", "80", NAME_SERVICE, "" },
        { "web.shop.localhost", "http", NAME_SERVICE, "http" },
        { "db-0.db.shop", NULL, NAME_ENDPOINT, "" },
        { "db-0.shop.pod", "5432", NAME_POD, "" },
        { "10-1-2-3.shop.pod", "80", NAME_POD, "" },
        { "web.shop.deploy", "http", NAME_DEPLOYMENT, "http" },
        { "_grpc._tcp.web.shop.svc", NULL, NAME_SERVICE, "grpc" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *alias = xasprintf("a%zu", i);
        struct name name;
        add(n, alias, cases[i].target, cases[i].port);
        naming_read(n, str_of(alias), &name, NULL);
        assert_int_equal(name.kind, cases[i].kind);
        assert_true(str_eq(name.port_name, str_of(cases[i].port_name)));
    }
}

static void a_target_may_be_in_another_cluster(void **state)
{
    struct naming *n = *state;
    struct name name;

    add(n, "a", "web.shop.svc.prod.k8s", "80");
    add(n, "b", "web.shop.prod.localhost", NULL);
    naming_read(n, STR("a.localhost"), &name, NULL);
    assert_true(str_eq(name.cluster, STR("prod")) && str_eq(name.service, STR("web")));
    naming_read(n, STR("b"), &name, NULL);
    assert_true(str_eq(name.cluster, STR("prod")) && str_eq(name.ns, STR("shop")));
    add(n, "c", "web.shop.svc.prod.k8s", "http");
    naming_read(n, STR("c"), &name, NULL);
    assert_true(str_eq(name.cluster, STR("prod")) && str_eq(name.port_name, STR("http")));
}

static void collisions_and_loops_are_refused(void **state)
{
    struct naming *n = *state;

    add(n, "shop", "web.shop", NULL);
    add(n, "api.example.com", "web.shop", NULL);
    assert_refused(n, "shop", "web.other", "an alias already");
    assert_refused(n, "SHOP.", "web.other", "an alias already");
    assert_refused(n, "web.shop", "web.other", "a name of the cluster already");
    assert_refused(n, "web.shop.svc", "web.other", "a name of the cluster already");
    assert_refused(n, "x.y.pod", "web.other", "a name of the cluster already");
    assert_refused(n, "web.shop.svc.prod", "web.other", "a name of a cluster already");
    assert_refused(n, "x.y.pod.prod", "web.other", "a name of a cluster already");
    assert_refused(n, "localhost", "web.other", "kube-tunnel's own");
    assert_refused(n, "127.0.0.1", "web.other", "kube-tunnel's own");
    assert_refused(n, "1.2", "web.other", "kube-tunnel's own");
    assert_refused(n, "cluster.local", "web.other", "the cluster's domain");
    assert_refused(n, "x.localhost", "web.other", "leave out");
    assert_refused(n, "other", "shop.localhost", "an alias itself");
    assert_refused(n, "other", "api.example.com", "an alias itself");
    assert_refused(n, "other", "127.0.0.1", "no name of the cluster");
    assert_refused(n, "other", "a.b.c.d.e", "not a name of the cluster");
    assert_refused(n, "other", "x.localhost", "no namespace");
    assert_refused(n, "other", "web..shop", "an empty label");
}

static void the_domain_of_the_cluster_is_accepted_beside_the_default(void **state)
{
    struct naming *n = *state;
    struct name name;

    naming_read(n, STR("web.shop.svc.corp.example"), &name, NULL);
    assert_int_equal(name.kind, NAME_INVALID);
    assert_string_equal(naming_zone(n), "cluster.local");
    assert_true(naming_set_found_zone(n, "corp.example"));
    assert_false(naming_set_found_zone(n, "Corp.Example"));
    assert_string_equal(naming_zone(n), "corp.example");
    naming_read(n, STR("web.shop.svc.corp.example"), &name, NULL);
    assert_int_equal(name.suffix, NAME_SUFFIX_ZONE);
    naming_read(n, STR("web.shop.svc.cluster.local"), &name, NULL);
    assert_int_equal(name.suffix, NAME_SUFFIX_ZONE);
    naming_read(n, STR("web.shop.svc.evil.example"), &name, NULL);
    assert_int_equal(name.kind, NAME_INVALID);
}

static void a_removed_alias_has_no_meaning_and_leaves_the_others(void **state)
{
    struct naming *n = *state;
    struct name name;

    add(n, "front", "web.shop", NULL);
    add(n, "store", "db.shop", NULL);
    add(n, "third", "x.y", NULL);
    assert_true(naming_remove_alias(n, STR("STORE.")));
    assert_false(naming_remove_alias(n, STR("store")));
    naming_read(n, STR("store.localhost"), &name, NULL);
    assert_int_equal(name.kind, NAME_INVALID);
    naming_read(n, STR("third"), &name, NULL);
    assert_int_equal(name.suffix, NAME_SUFFIX_ALIAS);
    assert_int_equal(n->alias_count, 2);
    assert_string_equal(n->aliases[1]->name, "third");
    add(n, "store", "db.shop", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_alias_is_read_as_its_target),
        TEST(an_exchange_keeps_added_aliases),
        TEST(hosts_that_are_no_alias_are_read_as_names),
        TEST(a_target_may_have_any_form),
        TEST(a_target_may_be_in_another_cluster),
        TEST(collisions_and_loops_are_refused),
        TEST(a_removed_alias_has_no_meaning_and_leaves_the_others),
        TEST(the_domain_of_the_cluster_is_accepted_beside_the_default),
    };
    return cmocka_run_group_tests_name("route/naming", tests, NULL, NULL);
}
