/* tests/unit/config/file_test.c - configuration files, right ones and wrong ones */
#include "config/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
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
        cmocka_unit_test(empties_a_list_that_another_file_filled),
        cmocka_unit_test(names_the_line_of_every_mistake),
        cmocka_unit_test(refuses_nested_values),
    };
    return cmocka_run_group_tests_name("config/file", tests, NULL, NULL);
}
