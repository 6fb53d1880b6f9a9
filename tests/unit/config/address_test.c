/* tests/unit/config/address_test.c - addresses to listen on, services to expose */
#include "config/address.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"

static void reads_every_usual_form_and_prints_it_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *printed;
    } cases[] = {
        { "80", "", 80, "80" },
        { ":80", "", 80, "80" },
        { "0", "", 0, "0" },
        { "*:80", "*", 80, "*:80" },
        { "127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0" },
        { "0.0.0.0:65535", "0.0.0.0", 65535, "0.0.0.0:65535" },
        { "[::1]:80", "::1", 80, "[::1]:80" },
        { "[0:0:0::1]:80", "::1", 80, "[::1]:80" },
        { "[fe80::1%eth0]:80", "fe80::1%eth0", 80, "[fe80::1%eth0]:80" },
        { "LOCALHOST:81", "localhost", 81, "localhost:81" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listen_address a;
        char printed[LISTEN_TEXT_SIZE];

        assert_int_equal(listen_address_parse(str_of(cases[i].text), &a, NULL), OK);
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.port, cases[i].port);
        listen_address_print(&a, printed);
        assert_string_equal(printed, cases[i].printed);
    }
}

static void refuses_malformed_addresses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        "65536",
        "-1",
        "80a",
        "example.com:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[127.0.0.1]:80",
        "[]:80",
        "[:80",
        "127.1:80",
        "127.0.0.1:",
        "127.0.0.1:999999",
        "[::1%]:80",
        "[::1%a b]:80",
        "[::1%a-name-of-16-chars]:80",
        " 80",
        "1.2.3.4.5:80",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listen_address a = { .port = 42 };
        struct diag why = { 0 };

        if (listen_address_parse(str_of(cases[i]), &a, &why) != ERR_CONFIG)
            fail_msg("\"%s\" was accepted", cases[i]);
        assert_int_equal(a.port, 42);
        assert_int_equal(why.text[0], '"');
    }
}

static void reads_services_to_expose(void **state)
{
    (void)state;
    struct expose e;

    assert_int_equal(expose_parse(STR("pg.shop:5432"), &e, NULL), OK);
    assert_string_equal(e.name, "pg.shop");
    assert_string_equal(e.port, "5432");
    assert_string_equal(e.local.host, "");
    assert_int_equal(e.local.port, 5432);
    expose_finish(&e);

    assert_int_equal(expose_parse(STR("pg.shop:sql=127.0.0.2:15432"), &e, NULL), OK);
    assert_string_equal(e.port, "sql");
    assert_string_equal(e.local.host, "127.0.0.2");
    assert_int_equal(e.local.port, 15432);
    expose_finish(&e);

    /* The name is checked later, when the cluster's domain is known. */
    assert_int_equal(expose_parse(STR("_sql._tcp.Pg-0.pg.shop.svc.:1"), &e, NULL), OK);
    assert_string_equal(e.name, "_sql._tcp.Pg-0.pg.shop.svc.");
    expose_finish(&e);
}

static void refuses_malformed_services_to_expose(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "pg",
        "pg:5432",
        "pg.shop",
        "pg.shop:",
        "pg.shop:0",
        "pg.shop:65536",
        "pg.shop:sql",
        ".shop:1",
        "pg.:1",
        "pg shop.svc:1",
        "pg.shop/x:1",
        "[::1].x:1",
        "pg.shop:5432=",
        "pg.shop:5432=x",
        "pg.shop:Sql=1",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct expose e;
        if (expose_parse(str_of(cases[i]), &e, NULL) != ERR_CONFIG)
            fail_msg("\"%s\" was accepted", cases[i]);
    }
}

static void accepts_labels_and_names_of_the_dns_only(void **state)
{
    (void)state;
    char label[65], name[256];

    memset(label, 'a', sizeof(label));
    assert_true(is_dns_label((struct str){ label, 63 }));
    assert_false(is_dns_label((struct str){ label, 64 }));
    assert_true(is_dns_label(STR("a-0")));
    assert_false(is_dns_label(STR("a-")));
    assert_false(is_dns_label(STR("a.b")));

    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_true(is_dns_name((struct str){ name, 253 }));
    assert_false(is_dns_name((struct str){ name, 255 }));
    assert_false(is_dns_name(STR("a..b")));
    assert_false(is_dns_name(STR("a.")));
    assert_false(is_dns_name(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_usual_form_and_prints_it_back),
        cmocka_unit_test(refuses_malformed_addresses),
        cmocka_unit_test(reads_services_to_expose),
        cmocka_unit_test(refuses_malformed_services_to_expose),
        cmocka_unit_test(accepts_labels_and_names_of_the_dns_only),
    };
    return cmocka_run_group_tests_name("config/address", tests, NULL, NULL);
}
