/* tests/unit/config/web_origin_test.c - origins of web pages, and patterns for them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/web_origin.h"

#include "base/own.h"

static void takes_an_origin_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *host;
        uint16_t port;
    } cases[] = {
        { "http://app.example", "http", "app.example", 80 },
        { "https://app.example", "https", "app.example", 443 },
        { "HTTP://App_1.example:8080", "HTTP", "App_1.example", 8080 },
        { "http://[2001:db8::1]", "http", "[2001:db8::1]", 80 },
        { "http://[::1]:65535", "http", "[::1]", 65535 },
        { "vscode-webview://0d5f", "vscode-webview", "0d5f", 0 },
        { "a+b.c-d://x", "a+b.c-d", "x", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct web_origin o;
        if (!web_origin_parse(str_of(cases[i].text), &o))
            fail_msg("%s", cases[i].text);
        assert_true(str_eq(o.scheme, str_of(cases[i].scheme)));
        assert_true(str_eq(o.host, str_of(cases[i].host)));
        assert_int_equal(o.port, cases[i].port);
    }
}

static void refuses_malformed_origins(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "http",
        "http:",
        "http:/x",
        "http://",
        "http://:80",
        "://x",
        "1a://x",
        "a b://x",
        "http://x/",
        "http://x?",
        "http://x:0",
        "http://x:65536",
        "http://x:",
        "http://[]",
        "http://[::1",
        "http://::1",
        "http://a@b",
        "http://a,b",
        "http://.a",
        "http://a b",
        "http://*",
        "http://[g::]",
        "http://a\x80",
        "http://x:8 ",
        "http://[::1]x",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct web_origin o;
        if (web_origin_parse(str_of(bad[i]), &o))
            fail_msg("%s", bad[i]);
    }
    struct web_origin o;
    assert_false(web_origin_parse((struct str){ "http://a\0b", 10 }, &o));
}

static void accepts_five_kinds_of_patterns(void **state)
{
    (void)state;
    static const char *const good[] = {
        "https://app.example:8443",
        "app.example",
        "127.0.0.1",
        "[::1]",
        "*.shop",
        "*.a.b",
        "vscode-webview://*",
        "null",
    };
    static const char *const bad[] = {
        "",          "*",     "*.",         "*.*",         "*shop",          "a.*",
        "a.*.b",     "*://x", "http://*.x", "http://*:80", "app.example:80", "/path",
        "http://x/", "a b",   "a;b",        "*.a/b",       "://*",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!origin_pattern_is_valid(str_of(good[i])))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (origin_pattern_is_valid(str_of(bad[i])))
            fail_msg("%s", bad[i]);
}

static void matches_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *origin;
        bool match;
    } cases[] = {
        { "https://a.example", "https://a.example", true },
        { "https://a.example", "HTTPS://A.Example:443", true },
        { "https://a.example", "https://a.example:8443", false },
        { "https://a.example", "http://a.example", false },
        { "https://a.example", "https://b.a.example", false },
        { "a.example", "http://a.example:81", true },
        { "a.example", "ws://a.example", false },
        { "a.example", "http://a.example.evil", false },
        { "*.shop", "http://web.shop", true },
        { "*.shop", "https://a.web.SHOP:8443", true },
        { "*.shop", "http://shop", false },
        { "*.shop", "http://.shop", false },
        { "*.shop", "http://webshop", false },
        { "*.shop", "http://web.shop.evil", false },
        { "*.shop", "evil://web.shop", false },
        { "*.shop", "null", false },
        { "*.0.1", "http://127.0.0.1", false },
        { "x://*", "x://anything", true },
        { "x://*", "xx://anything", false },
        { "x://*", "x://", false },
        { "x://*", "null", false },
        { "null", "null", true },
        { "null", "http://null", false },
        { "null", "", false },
        { "a.example", "a.example", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str pattern = str_of(cases[i].pattern);
        if (origin_pattern_matches(pattern, str_of(cases[i].origin)) != cases[i].match)
            fail_msg("%s and %s", cases[i].pattern, cases[i].origin);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_an_origin_apart),
        cmocka_unit_test(refuses_malformed_origins),
        cmocka_unit_test(accepts_five_kinds_of_patterns),
        cmocka_unit_test(matches_by_name),
    };
    return cmocka_run_group_tests_name("config/web_origin", tests, NULL, NULL);
}
