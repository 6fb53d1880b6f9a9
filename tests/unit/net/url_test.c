/* tests/unit/net/url_test.c - the parts of URLs, and passwords in messages */
#include "net/url.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"

static void a_url_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *user, *password, *host;
        uint16_t port;
        const char *path;
        bool v6, rest;
    } cases[] = {
        /* clang-format off */
        { "https://h",             "https", NULL, NULL,  "h",       0,    "/" },
        { "HTTPS://H.example:443", "https", NULL, NULL,  "H.example", 443, "/" },
        { "h:1/a//b",              "http",  NULL, NULL,  "h",       1,    "/a//b" },
        { "http://h/a/../b",       "http",  NULL, NULL,  "h",       0,    "/a/../b" },
        { "http://u:p%40w@h",      "http",  "u",  "p@w", "h",       0,    "/" },
        { "socks5://[fd00::1]:7",  "socks5", NULL, NULL, "fd00::1", 7,    "/", .v6 = true },
        { "http://h/?q",           "http",  NULL, NULL,  "h",       0,    "/", .rest = true },
        { "http://h/#f",           "http",  NULL, NULL,  "h",       0,    "/", .rest = true },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(url_finish) struct url u = { 0 };
        struct diag why = { "" };

        if (url_parse(str_of(cases[i].text), "http", &u, &why))
            fail_msg("%s: %s", cases[i].text, why.text);
        assert_string_equal(u.scheme, cases[i].scheme);
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.path, cases[i].path);
        assert_int_equal(u.port, cases[i].port);
        assert_int_equal(u.v6, cases[i].v6);
        assert_int_equal(u.rest, cases[i].rest);
        assert_string_equal(u.user ? u.user : "", cases[i].user ? cases[i].user : "");
        assert_string_equal(u.password ? u.password : "",
                            cases[i].password ? cases[i].password : "");
    }
}

static void text_that_is_no_url_is_refused_with_a_reason(void **state)
{
    (void)state;
    const struct str cases[] = {
        STR(""),
        STR("http://"),
        STR("http://h:x"),
        STR("http://h:0"),
        STR("http://h:65536"),
        STR("http://[fd00::1"),
        STR("http://a b"),
        STR("http://[fd00::1]x"),
        STR("http://h\0evil"),
        STR("http://[fe80::1%25a@b]"),
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u = { .port = 7 };
        struct diag why = { "" };

        if (url_parse(cases[i], "http", &u, &why) != ERR_CONFIG || !why.text[0])
            fail_msg("%.*s: %s", STR_ARG(cases[i]), why.text);
        assert_null(u.host);
        assert_int_equal(u.port, 0);
        assert_null(url_authority(STR("http://h:x"), "http", 80));
    }
}

static void the_authority_has_user_host_and_port(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "http://corp", "http://corp:80" },
        { "http://corp:3128/path?q#f", "http://corp:3128" },
        { "corp", "http://corp:80" },
        { "http://me:w%2Fo@corp/", "http://me:w%2Fo@corp:80" },
        { "http://[fd00::1]", "http://[fd00::1]:80" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *got = url_authority(str_of(cases[i][0]), "http", 80);
        assert_string_equal(got ? got : "none", cases[i][1]);
    }
}

static void a_password_is_hidden_also_in_text_that_is_no_url(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "https://user:secret@host/", "https://user:xxxxx@host/" },
        { "https://user:se/cr:et@host", "https://user:xxxxx@host" },
        { "user:secret@host", "user:xxxxx@host" },
        { "https://user@host/", "https://user@host/" },
        { "https://host/", "https://host/" },
        { "", "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *got = url_redacted(str_of(cases[i][0]));
        assert_string_equal(got, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(text_that_is_no_url_is_refused_with_a_reason),
        cmocka_unit_test(the_authority_has_user_host_and_port),
        cmocka_unit_test(a_password_is_hidden_also_in_text_that_is_no_url),
    };
    return cmocka_run_group_tests_name("net/url", tests, NULL, NULL);
}
