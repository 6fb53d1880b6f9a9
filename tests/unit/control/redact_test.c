/* tests/unit/control/redact_test.c - what of a request may be shown */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "control/redact.h"

static char shown[512];

static void put(void *owner, struct str piece)
{
    (void)owner;
    size_t len = strlen(shown);
    len = str_append(shown, sizeof(shown) - 1, len, piece);
    shown[len] = '\0';
}

static void assert_path(const char *path, bool queries, const char *wanted)
{
    shown[0] = '\0';
    redact_path(str_of(path), queries, put, NULL);
    assert_string_equal(shown, wanted);
}

static void names_of_secrets_are_found(void **state)
{
    static const char *const secrets[] = {
        "Authorization", "Proxy-Authorization", "Cookie",       "Set-Cookie",
        "X-Api-Key",     "access_token",        "CLIENTSECRET", "password",
        "passwd",        "X-Amz-Signature",     "sessionid",    "pass%77ord",
    };
    static const char *const others[] = { "Host", "User-Agent", "Accept",
                                          "page", "q",          "Content-Type",
                                          "",     "toke",       "X-Request-Id" };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (!redact_is_secret(str_of(secrets[i])))
            fail_msg("%s is shown", secrets[i]);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (redact_is_secret(str_of(others[i])))
            fail_msg("%s is redacted", others[i]);
}

static void values_of_a_query_are_redacted(void **state)
{
    (void)state;
    assert_path("/a/b", false, "/a/b");
    assert_path("/a?x=1&y=2", false, "/a?x=(redacted)&y=(redacted)");
    assert_path("/a?x", false, "/a?x");
    assert_path("/a?", false, "/a?");
    assert_path("/a?x=1&&=3", false, "/a?x=(redacted)&&=(redacted)");
    assert_path("/a?x=1?y=2", false, "/a?x=(redacted)");
}

static void with_queries_only_values_of_secrets_are(void **state)
{
    (void)state;
    assert_path("/a?x=1&token=2&y=3", true, "/a?x=1&token=(redacted)&y=3");
    assert_path("/a?API_KEY=2", true, "/a?API_KEY=(redacted)");
}

static void fields_with_urls_are_known(void **state)
{
    (void)state;
    assert_true(redact_has_url(STR("Referer")));
    assert_true(redact_has_url(STR("LOCATION")));
    assert_false(redact_has_url(STR("Host")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_secrets_are_found),
        cmocka_unit_test(values_of_a_query_are_redacted),
        cmocka_unit_test(with_queries_only_values_of_secrets_are),
        cmocka_unit_test(fields_with_urls_are_known),
    };
    return cmocka_run_group_tests_name("control/redact", tests, NULL, NULL);
}
