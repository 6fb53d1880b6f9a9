/* tests/unit/serve/exposed_test.c - what --expose names */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/exposed.h"

#include "base/own.h"

static enum err create(const char *text, struct exposed **ret, struct diag *why)
{
    struct expose x;

    assert_int_equal(expose_parse(str_of(text), &x, NULL), OK);
    enum err e = exposed_create(&x, STR("cluster.local"), ret, why);
    expose_finish(&x);
    return e;
}

static void every_name_that_http_accepts_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum name_kind kind;
        const char *service, *ns, *endpoint, *port_name;
        uint16_t port;
    } cases[] = {
        { "pg.shop:5432", NAME_SERVICE, "pg", "shop", "", "", 5432 },
        { "PG.Shop.:5432", NAME_SERVICE, "pg", "shop", "", "", 5432 },
        { "pg.shop.svc:5432", NAME_SERVICE, "pg", "shop", "", "", 5432 },
        { "pg.shop.svc.cluster.local:5432", NAME_SERVICE, "pg", "shop", "", "", 5432 },
        { "pg.shop.localhost:5432", NAME_SERVICE, "pg", "shop", "", "", 5432 },
        { "pg.shop:sql=1", NAME_SERVICE, "pg", "shop", "", "sql", 0 },
        { "sts-0.sts.ns:9010", NAME_ENDPOINT, "sts", "ns", "sts-0", "", 9010 },
        { "sts-0.sts.ns.svc.cluster.local:9010", NAME_ENDPOINT, "sts", "ns", "sts-0", "",
          9010 },
        { "sts-0.sts.ns:kafka=9010", NAME_ENDPOINT, "sts", "ns", "sts-0", "kafka", 0 },
        { "pg-0.shop.pod:5432", NAME_POD, "", "shop", "pg-0", "", 5432 },
        { "10-1-2-3.shop.pod.cluster.local:5432", NAME_POD, "", "shop", "10.1.2.3", "",
          5432 },
        { "_sql._tcp.pg.shop.svc:5432", NAME_SERVICE, "pg", "shop", "", "sql", 5432 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { 0 };
        AUTO(exposed_unrefp) struct exposed *e = NULL;
        if (create(cases[i].text, &e, &why))
            fail_msg("%s: %s", cases[i].text, why.text);
        const struct name *n = &e->route.name;
        assert_int_equal(n->kind, cases[i].kind);
        assert_true(str_eq(n->service, str_of(cases[i].service)));
        assert_true(str_eq(n->ns, str_of(cases[i].ns)));
        assert_true(str_eq(n->endpoint, str_of(cases[i].endpoint)));
        assert_true(str_eq(n->port_name, str_of(cases[i].port_name)));
        assert_int_equal(e->route.port, cases[i].port);
    }
}

static void an_error_names_what_is_wrong_with_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "-pg.shop:1", "expose -pg.shop:1: a label that begins or ends with a hyphen" },
        { "pg.svc:1", "expose pg.svc:1: no namespace: say <service>.<namespace>.svc" },
        { "127.0.0.1:1", "expose 127.0.0.1:1: not a name of the cluster" },
        { "a.b.c.d:1", "expose a.b.c.d:1: not a name of the cluster" },
        { "pg-0.shop.pod:sql=1",
          "expose pg-0.shop.pod:sql: a port of a pod is a number" },
        { "_sql._tcp.pg.shop.svc:x=1",
          "expose _sql._tcp.pg.shop.svc:x: the port has two names" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { 0 };
        struct exposed *e = NULL;
        assert_int_equal(create(cases[i].text, &e, &why), ERR_CONFIG);
        assert_string_equal(why.text, cases[i].why);
        assert_null(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_that_http_accepts_is_accepted),
        cmocka_unit_test(an_error_names_what_is_wrong_with_a_name),
    };
    return cmocka_run_group_tests_name("serve/exposed", tests, NULL, NULL);
}
