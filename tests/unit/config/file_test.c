/* tests/unit/config/file_test.c - configuration files, right ones and wrong ones */
#include "config/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "config/setting.h"

static enum err apply(struct config *c, const char *text, struct diag *why)
{
    return config_file_apply(c, FROM_FILE, "c.yaml", str_of(text), why);
}

static void reads_scalars_and_lists_in_every_spelling(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    struct diag why = { 0 };
    static const char text[] = "# ours\n"
                               "idleTimeout: 5m\n"
                               "log_level: 'debug'\n"
                               "listen:\n"
                               "  - \"[::1]:80\"\n"
                               "  - 127.0.0.1:81\n"
                               "allow-namespace: [shop, \"pay\"]\n"
                               "deny-namespace: kube-system,default\n"
                               "half-close: yes\n";

    assert_int_equal(apply(c, text, &why), OK);
    assert_int_equal(c->idle_timeout_ms, 300000);
    assert_string_equal(c->log_level, "debug");
    assert_int_equal(c->listen.count, 2);
    assert_string_equal(c->listen.at[0].host, "::1");
    assert_int_equal(c->listen.at[1].port, 81);
    assert_int_equal(c->allow_namespace.count, 2);
    assert_string_equal(c->deny_namespace.at[1], "default");
    assert_true(c->half_close);
    assert_int_equal(c->origins[SETTING_idle_timeout_ms].line, 2);
    assert_int_equal(c->origins[SETTING_listen].line, 5);
    assert_string_equal(c->origins[SETTING_half_close].file, "c.yaml");
}

static void accepts_an_empty_file(void **state)
{
    (void)state;
    static const char *const texts[] = { "",   "# only this\n", "---\n",
                                         "{}", "--- {}\n...\n", "\xef\xbb\xbfport: 1\n" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(config_unrefp) struct config *c = config_default();
        struct diag why = { 0 };
        if (apply(c, texts[i], &why))
            fail_msg("\"%s\": %s", texts[i], why.text);
    }
}

static void follows_aliases_and_merge_keys(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    struct diag why = { 0 };

    if (apply(c, "port: &p 81\ntarget-port: *p\n<<: {idle-timeout: 5m}\n", &why))
        fail_msg("%s", why.text);
    assert_int_equal(c->port, 81);
    assert_int_equal(c->idle_timeout_ms, 300000);
}

#define PIN "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void reads_how_certificates_of_services_are_verified(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    struct diag why = { 0 };
    static const char text[] = "tls:\n"
                               "  shop/web: { verify: none }\n"
                               "  shop/api:\n"
                               "    ca: /dev/null\n"
                               "    serverName: API.example\n"
                               "  pay/db-0.x: { pin: " PIN " }\n"
                               "tls-ca: [/dev/null]\n"
                               "port: 81\n";

    if (apply(c, text, &why))
        fail_msg("%s", why.text);
    assert_int_equal(c->tls.count, 3);
    assert_string_equal(c->tls.at[0].service, "shop/web");
    assert_true(c->tls.at[0].unverified && !c->tls.at[0].ca && !c->tls.at[0].has_pin);
    assert_string_equal(c->tls.at[1].ca, "/dev/null");
    assert_string_equal(c->tls.at[1].server_name, "api.example");
    assert_true(c->tls.at[2].has_pin && !c->tls.at[1].unverified);
    assert_int_equal(c->tls.at[2].pin[0], 0x00);
    assert_int_equal(c->tls.at[2].pin[1], 0x11);
    assert_int_equal(c->tls.at[2].pin[31], 0xff);
    assert_int_equal(c->tls_ca.count, 1);
    assert_int_equal(c->port, 81);
    assert_int_equal(c->origins[SETTING_tls].line, 1);
    assert_int_equal(service_tls_check(&c->tls, &why), OK);

    AUTO_FREE char *printed = setting_print(&settings[SETTING_tls], c);
    AUTO(config_unrefp) struct config *again = config_default();
    assert_int_equal(setting_apply(&settings[SETTING_tls], str_of(printed), again, &why),
                     OK);
    AUTO_FREE char *printed_again = setting_print(&settings[SETTING_tls], again);
    assert_string_equal(printed, printed_again);
}

static void refuses_keys_of_a_service_that_exclude_one_another(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "shop/web,verify=none,ca=/dev/null", "verify: none excludes" },
        { "shop/web,verify=none,pin=" PIN, "verify: none excludes" },
        { "shop/web,ca=/dev/null,pin=" PIN, "ca and pin exclude" },
        { "shop/web", "one of verify, ca, pin, server-name and mode is missing" },
        { "shop/web,verify=none,server-name=a.b", NULL },
        { "shop/web,pin=" PIN ",server-name=a.b", NULL },
        { "shop/web,ca=/dev/null,server-name=a.b", NULL },
        { "shop/web,server-name=a.b", NULL },
        { "shop/web,mode=terminate", NULL },
        { "shop/web,mode=passthrough,verify=none", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(config_unrefp) struct config *c = config_default();
        struct diag why = { 0 };
        if (setting_apply(&settings[SETTING_tls], str_of(rows[i].text), c, &why))
            fail_msg("%s", why.text);
        enum err e = service_tls_check(&c->tls, &why);
        assert_int_equal(e, rows[i].why ? ERR_CONFIG : OK);
        if (rows[i].why && !strstr(why.text, rows[i].why))
            fail_msg("%s: %s", rows[i].text, why.text);
    }
}

static void finds_where_tls_of_a_services_clients_ends(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const char text[] = "tls:\n"
                               "  shop/web: { mode: terminate }\n"
                               "  shop/api: { verify: none, mode: passthrough }\n"
                               "  shop/db: { verify: none }\n";
    struct diag why = { 0 };

    if (apply(c, text, &why))
        fail_msg("%s", why.text);
    for (c->tls_termination = AUTO_BOOL_AUTO; c->tls_termination <= AUTO_BOOL_TRUE;
         c->tls_termination++) {
        bool off = c->tls_termination == AUTO_BOOL_FALSE;
        enum service_tls_mode usual = off ? SERVICE_TLS_PASSTHROUGH : SERVICE_TLS_AUTO;
        assert_int_equal(config_tls_mode(c, STR("shop"), STR("WEB")),
                         SERVICE_TLS_TERMINATE);
        assert_int_equal(config_tls_mode(c, STR("shop"), STR("api")),
                         SERVICE_TLS_PASSTHROUGH);
        assert_int_equal(config_tls_mode(c, STR("shop"), STR("db")), usual);
        assert_int_equal(config_tls_mode(c, STR("pay"), STR("web")), usual);
    }
    c->tls_termination = AUTO_BOOL_AUTO;
    c->in_pod = true;
    assert_int_equal(config_tls_mode(c, STR("pay"), STR("web")), SERVICE_TLS_PASSTHROUGH);
    assert_int_equal(config_tls_mode(c, STR("shop"), STR("web")), SERVICE_TLS_TERMINATE);
    AUTO_FREE char *printed = setting_print(&settings[SETTING_tls], c);
    assert_string_equal(printed, "shop/web,mode=terminate,shop/api,verify=none,"
                                 "mode=passthrough,shop/db,verify=none");
}

static void empties_a_list_that_another_file_filled(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(config_file_apply(c, FROM_SYSTEM_FILE, "/etc/c.yaml",
                                       STR("deny-namespace: [a, b]\n"), NULL),
                     OK);
    assert_int_equal(c->deny_namespace.count, 2);
    assert_int_equal(apply(c, "deny-namespace: []\n", NULL), OK);
    assert_int_equal(c->deny_namespace.count, 0);
    assert_int_equal(c->origins[SETTING_deny_namespace].source, FROM_FILE);
}

static void names_the_line_of_every_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "port: 80\nidle-timout: 5m\n",
          "c.yaml:2: no setting is called \"idle-timout\"; is it \"idle-timeout\"?" },
        { "frobnicate: 1\n", "c.yaml:1: no setting is called \"frobnicate\"" },
        { "\n\nport: http\n", "c.yaml:3: port: \"http\" is not a port number" },
        { "port: 1\nPort: 2\n", "c.yaml:2: port: is already set in line 1" },
        { "listen: [80]\nlisten: [81]\n", "c.yaml:2: listen: is already set in line 1" },
        { "listen:\n- 80\n- x:1\n",
          "c.yaml:3: listen: \"x:1\" is not an address to listen on: expected PORT or "
          "ADDR:PORT with a literal address, like 127.0.0.1:80 or [::1]:80" },
        { "port:\n", "c.yaml:1: port: a value is missing" },
        { "port: ~\n", "c.yaml:1: port: a value is missing" },
        { "wait: ''\n", "c.yaml:1: wait: a value is missing" },
        { "port: [80]\n", "c.yaml:1: port: takes one value, not a list" },
        { "port: []\n", "c.yaml:1: port: takes one value, not a list" },
        { "wait:\n  timeout: 5m\n", "c.yaml:1: wait: expected a value or a list" },
        { "foo: {a: 1}\n", "c.yaml:1: no setting is called \"foo\"" },
        { "foo:\n", "c.yaml:1: no setting is called \"foo\"" },
        { "listen: [[80]]\n", "c.yaml:1: listen: expected a list of values" },
        { "listen: [{a: b}]\n", "c.yaml:1: listen: expected a list of values" },
        { "listen: [80, ]\nport: [\n", NULL },
        { "tls: {a/b: {verify: none}}\ntls: {}\n",
          "c.yaml:2: tls: is already set in line 1" },
        { "tls:\n  a/b: {verify: none}\n  a/b: {verify: none}\n", NULL },
        { "tls:\n  a/b: none\n",
          "c.yaml:2: tls: a/b: expected keys and values, like {key: value}" },
        { "tls:\n  a/b: {verify: [none]}\n", "c.yaml:2: tls: verify: expected a value" },
        { "tls:\n  a/b:\n    verify:\n", "c.yaml:3: tls: verify: expected a value" },
        { "tls:\n  a/b: {verify: full}\n",
          "c.yaml:2: tls: a/b: verify: \"full\" is not none (verification needs no "
          "setting)" },
        { "tls:\n  a/b: {verfy: none}\n",
          "c.yaml:2: tls: a/b: \"verfy\" is not a key; is it \"verify\"?" },
        { "tls:\n  a/b: {mode: ends}\n",
          "c.yaml:2: tls: a/b: mode: \"ends\" is not passthrough or terminate" },
        { "tls: {ab: {}}\n",
          "c.yaml:1: tls: \"ab\" is not NAMESPACE/SERVICE, like shop/web" },
        { "tls: [\"a/b\", \"a/b\"]\n", "c.yaml:1: tls: a/b is given twice" },
        { "tls: verify=none\n",
          "c.yaml:1: tls: \"verify=none\" comes before any NAMESPACE/SERVICE" },
        { "tls:\n  a/b: {pin: 0011}\n", NULL },
        { "tls:\n  a/b:\n    ca: /nonexistent\n",
          "c.yaml:3: tls: a/b: ca: /nonexistent: No such file or directory" },
        { "tls:\n  a/b: {server-name: a b}\n",
          "c.yaml:2: tls: a/b: server-name: \"a b\" is not a host name" },
        { "tls-ca: /nonexistent\n",
          "c.yaml:1: tls-ca: /nonexistent: No such file or directory" },
        { "- port\n", "c.yaml:1: expected settings, like \"port: 8080\"" },
        { "port\n", "c.yaml:1: expected settings, like \"port: 8080\"" },
        { "[a]: b\n", "c.yaml:1: expected the name of a setting" },
        { "port: &a 80\ntarget-port: *b\n",
          "c.yaml:2: no anchor &b before this alias *b" },
        { "port: 80\n---\nport: 81\n",
          "c.yaml:2: a second document; one file holds one" },
        { "port: 80\n\tx: 1\n", NULL },
        { "port: 80\n\xff\xfe\n", "c.yaml:2: invalid leading UTF-8 octet" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(config_unrefp) struct config *c = config_default();
        struct diag why = { 0 };
        assert_int_equal(apply(c, cases[i].text, &why), ERR_CONFIG);
        if (cases[i].why)
            assert_string_equal(why.text, cases[i].why);
        else
            assert_memory_equal(why.text, "c.yaml:", 7);
    }
}

/* Deep nesting is refused at its second step, however deep it would go. */
static void refuses_nested_values(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    size_t len = CONFIG_FILE_MAX;
    AUTO_FREE char *text = xmalloc(len + 1);
    struct diag why = { 0 };

    memset(text, '[', len);
    memcpy(text, "listen: ", 8);
    text[len] = '\0';
    assert_int_equal(
        config_file_apply(c, FROM_FILE, "c.yaml", (struct str){ text, len }, &why),
        ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_scalars_and_lists_in_every_spelling),
        cmocka_unit_test(accepts_an_empty_file),
        cmocka_unit_test(follows_aliases_and_merge_keys),
        cmocka_unit_test(reads_how_certificates_of_services_are_verified),
        cmocka_unit_test(refuses_keys_of_a_service_that_exclude_one_another),
        cmocka_unit_test(finds_where_tls_of_a_services_clients_ends),
        cmocka_unit_test(empties_a_list_that_another_file_filled),
        cmocka_unit_test(names_the_line_of_every_mistake),
        cmocka_unit_test(refuses_nested_values),
    };
    return cmocka_run_group_tests_name("config/file", tests, NULL, NULL);
}
