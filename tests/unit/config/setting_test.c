/* tests/unit/config/setting_test.c - names, types and their limits, row by row */
#include "config/setting.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"

/* Modules are registered by the folders that log. */
LOG_MODULE(tunnel);
static struct log_module log_module_serve = { .name = "serve" };

/* The value after `text` was applied to a fresh config, or "!" and the error text. */
static char *outcome(const char *name, const char *text)
{
    AUTO(config_unrefp) struct config *c = config_default();
    const struct setting *s = setting_find(str_of(name));
    struct diag why = { 0 };

    assert_non_null(s);
    if (setting_apply(s, str_of(text), c, &why))
        return xasprintf("!%s", why.text);
    return setting_print(s, c);
}

struct example {
    const char *name, *text, *expected;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *x = &examples[i];
        AUTO_FREE char *is = outcome(x->name, x->text);
        if (strcmp(is, x->expected) != 0)
            fail_msg("%s=\"%s\": got %s", x->name, x->text, is);
    }
}

static void reads_every_type(void **state)
{
    (void)state;
    static const struct example examples[] = {
        { "half-close", "true", "true" },
        { "half-close", "Yes", "true" },
        { "half-close", "0", "false" },
        { "transport", "SPDY", "spdy" },
        { "transport", "websocket", "websocket" },
        { "upstream", "direct", "direct" },
        { "log-format", "json", "json" },
        { "port", "8080", "8080" },
        { "target-port", "0", "0" },
        { "max-connections", "1000000", "1000000" },
        { "buffer-memory", "auto", "auto" },
        { "buffer-memory", "128MiB", "128MiB" },
        { "body-timeout", "auto", "auto" },
        { "body-timeout", "90s", "90s" },
        { "send-timeout", "0", "0" },
        { "http-tunnels-per-pod", "auto", "auto" },
        { "http-tunnels-per-pod", "0", "0" },
        { "idle-timeout", "90s", "90s" },
        { "idle-timeout", "60m", "1h" },
        { "idle-timeout", "1h30m", "90m" },
        { "idle-check", "1500ms", "1500ms" },
        { "response-timeout", "0", "0" },
        { "max-head-size", "32k", "32KiB" },
        { "max-head-size", "65536", "64KiB" },
        { "max-head-size", "1025B", "1025" },
        { "replay-buffer", "1MiB", "1MiB" },
        { "replay-buffer", "0", "0" },
        { "context", "kind-dev", "kind-dev" },
        { "kubeconfig", "/a/b", "/a/b" },
        { "namespace", "shop", "shop" },
        { "cluster-domain", "Corp.Example.", "corp.example" },
        { "log-level", "info,tunnel=debug,serve=error", "info,tunnel=debug,serve=error" },
        { "listen", "80, [::1]:81", "80,[::1]:81" },
        { "allow-namespace", "a,b", "a,b" },
        { "allow-origin", "https://a.example:8443", "https://a.example:8443" },
        { "allow-origin", "a.b, *.c,null,x://*", "a.b,*.c,null,x://*" },
        { "short-names", "Auto", "auto" },
        { "short-names", "yes", "true" },
        { "short-names", "0", "false" },
        { "alias", "front=web.shop, Pg.example.=pg.shop.svc:5432,a=b.c:http",
          "front=web.shop,Pg.example.=pg.shop.svc:5432,a=b.c:http" },
        { "alias", "front",
          "!\"front\" is not NAME=SERVICE.NAMESPACE[:PORT], like "
          "shop=web.shop:8080" },
        { "alias", "a_b=web.shop",
          "!\"a_b=web.shop\" is not NAME=SERVICE.NAMESPACE[:PORT], "
          "like shop=web.shop:8080" },
        { "alias", "a=web.shop:0",
          "!\"a=web.shop:0\": port 0 is no number from 1 to 65535 and no name" },
        { "expose", "pg.shop:5432,db.shop:sql=*:1", "pg.shop:5432=5432,db.shop:sql=*:1" },
        { "expose", "a.b:1,raw,c.d.svc:x=2,raw, any-host",
          "a.b:1=1,raw,c.d.svc:x=2,any-host,raw" },
        { "allow-host", "app.example,*.shop", "app.example,*.shop" },
        { "listen", "", "" },
        { "context", "", "" },
    };
    check(examples, ARRAY_LEN(examples));
}

static void an_error_names_what_is_wrong_with_a_value(void **state)
{
    (void)state;
    static const char duration[] =
        "!\"10\" is not a duration with its unit, like 500ms, 10s, 5m or 1h30m";
    static const struct example examples[] = {
        { "half-close", "maybe", "!\"maybe\" is not true or false" },
        { "transport", "http", "!\"http\" is not one of auto|spdy|websocket" },
        { "port", "http", "!\"http\" is not a port number" },
        { "port", "0", "!\"0\" is out of range: from 1 to 65535" },
        { "port", "65536", "!\"65536\" is out of range: from 1 to 65535" },
        { "port", "-1", "!\"-1\" is not a port number" },
        { "buffer-memory", "much",
          "!\"much\" is not \"auto\", a size in bytes, or like "
          "64KiB or 1MiB" },
        { "max-connections", "0", "!\"0\" is out of range: from 1 to 1000000" },
        { "http-tunnels-per-pod", "some", "!\"some\" is not \"auto\" or a number" },
        { "http-tunnels-per-pod", "4294967295",
          "!\"4294967295\" is out of range: from 0 to 256" },
        { "max-connections", "99999999999999999999",
          "!\"99999999999999999999\" is out of range: from 1 to 1000000" },
        { "idle-timeout", "10", duration },
        { "idle-timeout", "9ms", "!\"9ms\" is out of range: from 10ms to 720h" },
        { "idle-timeout", "", "!a value is missing" },
        { "max-head-size", "1023", "!\"1023\" is out of range: from 1KiB to 256KiB" },
        { "max-head-size", "257KiB", "!\"257KiB\" is out of range: from 1KiB to 256KiB" },
        { "max-head-size", "1KB",
          "!\"1KB\" is not a size in bytes, or like 64KiB or 1MiB" },
        { "max-head-size", "99999999999999999999GiB",
          "!\"99999999999999999999GiB\" is out of range: from 1KiB to 256KiB" },
        { "expose", "a.b:99999",
          "!\"a.b:99999\": port 99999 is out of range: from 1 to 65535" },
        { "expose", "a.b:0", "!\"a.b:0\": port 0 is out of range: from 1 to 65535" },
        { "expose",
          "a.b:", "!\"a.b:\" is not NAME:PORT[=LOCAL], like pg.shop:5432=15432" },
        { "context", "a\nb", "!the value has control characters in it" },
        { "namespace", "Shop",
          "!\"Shop\" is not a namespace: up to 63 of a-z, 0-9 and \"-\"" },
        { "cluster-domain", "a..b",
          "!\"a..b\" is not a domain name, like cluster.local" },
        { "cluster-domain", ".", "!\".\" is not a domain name, like cluster.local" },
        { "log-level", "info,tunel=debug",
          "!\"tunel\" is not a part of the program that logs" },
        { "log-level", "tunnel=loud",
          "!\"loud\" is not one of error, warn, info, debug" },
        { "log-level", "info,", "!\"\" is not one of error, warn, info, debug" },
        { "listen", "80,", "!an element is empty" },
        { "allow-origin", "a b",
          "!\"a b\" is not an origin: https://app.example, app.example, *.example, "
          "vscode-webview://* or null" },
        { "expose", "raw", "!\"raw\" is not NAME:PORT[=LOCAL], like pg.shop:5432=15432" },
        { "allow-host", "http://x",
          "!\"http://x\" is not a host: app.example or *.example" },
        { "short-names", "maybe", "!\"maybe\" is not auto, true or false" },
    };
    check(examples, ARRAY_LEN(examples));
}

/* From min - 1 to max + 1, for every row that has limits. */
static void enforces_the_limits_of_each_row(void **state)
{
    (void)state;
    static const struct example examples[] = {
        { "max-head-size", "1024", "1KiB" },
        { "max-head-size", "262144", "256KiB" },
        { "idle-timeout", "10ms", "10ms" },
        { "idle-timeout", "720h", "720h" },
        { "port", "1", "1" },
        { "port", "65535", "65535" },
        { "tunnels-per-pod", "256", "256" },
        { "tunnels-per-pod", "257", "!\"257\" is out of range: from 1 to 256" },
    };
    check(examples, ARRAY_LEN(examples));
}

static void bounds_the_length_of_lists(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    const struct setting *s = &settings[SETTING_listen];
    struct diag why = { 0 };

    for (unsigned i = 0; i < s->max; i++)
        assert_int_equal(setting_apply(s, STR("80"), c, &why), OK);
    assert_int_equal(setting_apply(s, STR("80"), c, &why), ERR_CONFIG);
    assert_string_equal(why.text, "more than 64 values");
}

static void printed_values_are_read_as_the_same_value(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        AUTO_FREE char *once = setting_print(&settings[i], c);
        assert_int_equal(setting_apply(&settings[i], str_of(once), c, NULL), OK);
        AUTO_FREE char *twice = setting_print(&settings[i], c);
        assert_string_equal(once, twice);
    }
}

static void finds_names_in_any_spelling(void **state)
{
    (void)state;
    const struct setting *s = &settings[SETTING_idle_timeout_ms];

    assert_ptr_equal(setting_find(STR("idle-timeout")), s);
    assert_null(setting_find(STR("idle_timeout")));
    assert_null(setting_find(STR("idle-timeou")));
    assert_ptr_equal(setting_find_loosely(STR("idleTimeout")), s);
    assert_ptr_equal(setting_find_loosely(STR("idle_timeout")), s);
    assert_ptr_equal(setting_find_loosely(STR("IDLE_TIMEOUT")), s);
    assert_null(setting_find_loosely(STR("idle-timeou")));
    assert_null(setting_find_loosely(STR("")));
    assert_null(setting_find_loosely(STR("idle timeout")));
    assert_null(setting_find_loosely(((struct str){ "port\0", 5 })));
}

static void suggests_the_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *written, *meant;
    } cases[] = {
        { "prot", "port" },
        { "prt", "port" },
        { "listne", "listen" },
        { "idle-timout", "idle-timeout" },
        { "idletimeuot", "idle-timeout" },
        { "idle", "idle-timeout" },
        { "loglevel", "log-level" },
        { "log-lvl", "log-level" },
        { "name-space", "namespace" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *nearest = setting_nearest(str_of(cases[i].written));
        assert_non_null(nearest);
        assert_string_equal(nearest, cases[i].meant);
    }
}

static void suggests_nothing_when_nothing_is_near(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",       "x",
        "xy",     "frobnicate",
        "colour", "a-name-that-is-far-longer-than-any-setting-could-ever-be",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_null(setting_nearest(str_of(cases[i])));
}

static void names_the_variable_of_a_setting(void **state)
{
    (void)state;
    AUTO_FREE char *variable = setting_variable(&settings[SETTING_idle_timeout_ms]);
    assert_string_equal(variable, "KTUN_IDLE_TIMEOUT");
}

static void has_a_sentence_and_a_group_for_each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        assert_true(strlen(settings[i].help) > 10);
        assert_true(strlen(settings[i].help) <= 70);
        assert_non_null(setting_group_title(settings[i].group));
        assert_ptr_equal(setting_find(str_of(settings[i].name)), &settings[i]);
    }
}

int main(void)
{
    log_register(&log_module_serve);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(an_error_names_what_is_wrong_with_a_value),
        cmocka_unit_test(enforces_the_limits_of_each_row),
        cmocka_unit_test(bounds_the_length_of_lists),
        cmocka_unit_test(printed_values_are_read_as_the_same_value),
        cmocka_unit_test(finds_names_in_any_spelling),
        cmocka_unit_test(suggests_the_nearest_name),
        cmocka_unit_test(suggests_nothing_when_nothing_is_near),
        cmocka_unit_test(names_the_variable_of_a_setting),
        cmocka_unit_test(has_a_sentence_and_a_group_for_each_row),
    };
    return cmocka_run_group_tests_name("config/setting", tests, NULL, NULL);
}
