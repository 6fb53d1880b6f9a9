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
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "access_token",
        "CLIENTSECRET",
        "password",
        "passwd",
        "X-Amz-Signature",
        "sessionid",
        "pass%77ord",
        "Sec-WebSocket-Protocol",
        "X-Amzn-Oidc-Data",
        "client_assertion",
        "passphrase",
    };
    static const char *const others[] = { "Host",
                                          "User-Agent",
                                          "Accept",
                                          "page",
                                          "q",
                                          "Content-Type",
                                          "",
                                          "toke",
                                          "X-Request-Id",
                                          "code",
                                          "X-Status-Code",
                                          "Sec-WebSocket-Version",
                                          "compass" };
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
    assert_path("/a?code=2&Sig=3&pass=4&codes=5", true,
                "/a?code=(redacted)&Sig=(redacted)&pass=(redacted)&codes=5");
}

static void parameters_inside_a_value_are_found(void **state)
{
    (void)state;
    assert_path("/a?a=1;token=x&b=2;c=3", true, "/a?a=(redacted)&b=2;c=3");
    assert_path("/a?to=/cb?code=x", true, "/a?to=(redacted)");
    assert_path("/a?to=%2Fcb%3Fcode%3Dx", true, "/a?to=(redacted)");
    assert_path("/a?a=b=token=x", true, "/a?a=(redacted)");
    assert_path("<http://a/?page=2>; rel=\"next\", <http://b/?sig=3>", true,
                "<http://a/?page=(redacted)");
    assert_path("/a?x=1;SECRET", false, "/a?x=(redacted)");
}

static void fragments_are_redacted_like_queries(void **state)
{
    (void)state;
    assert_path("/cb#access_token=x&type=b", false,
                "/cb#access_token=(redacted)&type=(redacted)");
    assert_path("/cb?a=1#access_token=x&type=b", true,
                "/cb?a=1#access_token=(redacted)&type=b");
    assert_path("/a#part", false, "/a#part");
}

static void users_and_passwords_of_urls_are_redacted(void **state)
{
    (void)state;
    assert_path("https://user:pw@app/cb", true, "https://(redacted)@app/cb");
    assert_path("//user:p@w@app", true, "//(redacted)@app");
    assert_path("<http://u:p@a/>, <http://u:p@b/x@y>", false,
                "<http://(redacted)@a/>, <http://(redacted)@b/x@y>");
    assert_path("/a?to=http://u:p@b/&http://u:p@c/", true,
                "/a?to=http://(redacted)@b/&http://(redacted)@c/");
    assert_path("http://a/b@c", false, "http://a/b@c");
    assert_path("//@a//", false, "//@a//");
}

static void paths_that_stay_as_they_are_are_known(void **state)
{
    (void)state;
    assert_false(redact_changes(STR("/a/b//c")));
    assert_false(redact_changes(STR("")));
    assert_true(redact_changes(STR("/a?b")));
    assert_true(redact_changes(STR("/a#b")));
    assert_true(redact_changes(STR("//b@c")));
}

static void fields_with_urls_are_known(void **state)
{
    (void)state;
    assert_true(redact_has_url(STR("Referer"), STR("a?b")));
    assert_true(redact_has_url(STR("LOCATION"), STR("")));
    assert_true(redact_has_url(STR("X-Original-Uri"), STR("/cb?code=1")));
    assert_true(redact_has_url(STR("Destination"), STR("http://a/?code=1")));
    assert_false(redact_has_url(STR("Host"), STR("a:80")));
    assert_false(redact_has_url(STR("Accept"), STR("*/*")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_secrets_are_found),
        cmocka_unit_test(values_of_a_query_are_redacted),
        cmocka_unit_test(with_queries_only_values_of_secrets_are),
        cmocka_unit_test(parameters_inside_a_value_are_found),
        cmocka_unit_test(fragments_are_redacted_like_queries),
        cmocka_unit_test(users_and_passwords_of_urls_are_redacted),
        cmocka_unit_test(paths_that_stay_as_they_are_are_known),
        cmocka_unit_test(fields_with_urls_are_known),
    };
    return cmocka_run_group_tests_name("control/redact", tests, NULL, NULL);
}
