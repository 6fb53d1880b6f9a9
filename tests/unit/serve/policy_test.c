/* tests/unit/serve/policy_test.c - web pages and namespaces that may not */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/policy.h"

#include "base/own.h"

static struct http1_head head;
static struct refusal why;

static enum err check(const struct config *c, const char *method, const char *host,
                      const char *fields)
{
    struct name name;
    AUTO_FREE char *text =
        xasprintf("%s / HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, host, fields);

    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    name_parse(head.host->value, str_of(c->cluster_domain), &name);
    why = (struct refusal){ 0 };
    enum err e = policy_check(c, &head, &name, &why);
    assert_int_equal(why.status, e ? 403 : 0);
    return e;
}

static const struct {
    const char *origin;
    bool foreign;
} origins[] = {
    { "http://localhost", false },
    { "http://localhost:3000", false },
    { "HTTPS://LocalHost:3000", false },
    { "http://web.shop.localhost:8080", false },
    { "http://127.0.0.1", false },
    { "http://127.1.2.3:80", false },
    { "http://[::1]:80", false },
    { "http://web.shop.svc.cluster.local", false },
    { "http://web.shop.svc", false },
    { "http://db-0.db.shop.svc.cluster.local:5432", false },
    { "http://10-0-0-7.shop.pod.cluster.local", false },
    { "https://allowed.example", false },
    { "http://allowed.example:8080", false },
    { "https://exact.example:8443", false },
    { "https://exact.example", true },
    { "http://exact.example:8443", true },
    { "null", true },
    { "", true },
    { "https://evil.example", true },
    { "http://web.shop", true }, /* anybody can own that name */
    { "http://192.168.0.9", true },
    { "http://[2001:db8::1]", true },
    { "http://127.0.0.1.evil.example", true },
    { "http://127.evil.example", true },
    { "http://localhost.evil.example", true },
    { "http://evillocalhost", true },
    { "http://a.evilcluster.local", true },
    { "http://web.shop.svc.cluster.local.evil.example", true },
    { "http://localhost@evil.example", true },
    { "http://localhost:99999", true },
    { "file://", true },
    { "localhost", true },
};

static struct config *make_config(void)
{
    struct config *c = config_default();
    c->allow_origin.at = xcalloc(2, sizeof(char *));
    c->allow_origin.at[0] = xstrdup("allowed.example");
    c->allow_origin.at[1] = xstrdup("https://exact.example:8443");
    c->allow_origin.count = 2;
    return c;
}

static void lets_only_the_clusters_own_pages_change_things(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();

    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        AUTO_FREE char *field = xasprintf("Origin: %s\r\n", origins[i].origin);
        AUTO_FREE char *socket =
            xasprintf("%sUpgrade: websocket\r\nConnection: Upgrade\r\n", field);
        enum err wanted = origins[i].foreign ? ERR_FORBIDDEN : OK;
        if (check(c, "POST", "web.shop", field) != wanted ||
            check(c, "BREW", "web.shop", field) != wanted ||
            check(c, "GET", "web.shop", socket) != wanted)
            fail_msg("Origin: %s", origins[i].origin);
        assert_int_equal(check(c, "GET", "web.shop", field), OK);
        assert_int_equal(check(c, "HEAD", "web.shop", field), OK);
    }
}

static void lets_no_second_origin_slip_through(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();

    assert_int_equal(
        check(c, "POST", "web.shop",
              "Origin: http://localhost\r\nOrigin: https://evil.example\r\n"),
        ERR_FORBIDDEN);
}

static void refuses_parts_of_pages_from_elsewhere(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();
    static const struct {
        const char *fields;
        enum err result;
    } cases[] = {
        { "", OK },
        { "Sec-Fetch-Site: same-origin\r\n", OK },
        { "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n", OK },
        { "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n", OK },
        { "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", ERR_FORBIDDEN },
        { "Sec-Fetch-Site: cross-site\r\n", ERR_FORBIDDEN },
        { "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"
          "Origin: https://evil.example\r\n",
          ERR_FORBIDDEN },
        { "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"
          "Origin: http://app.shop.localhost\r\n",
          OK },
        { "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"
          "Origin: https://allowed.example\r\n",
          OK },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (check(c, "GET", "web.shop", cases[i].fields) != cases[i].result)
            fail_msg("%s", cases[i].fields);
    assert_int_equal(check(c, "GET", "localhost", cases[4].fields), ERR_FORBIDDEN);
}

static void closes_namespaces(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    char *denied[] = { "secret" }, *allowed[] = { "shop", "secret" };

    assert_int_equal(check(c, "GET", "web.secret", ""), OK);
    c->deny_namespace = (struct string_list){ denied, 1 };
    assert_int_equal(check(c, "GET", "web.secret", ""), ERR_FORBIDDEN);
    assert_int_equal(check(c, "GET", "db-0.SECRET.pod", ""), ERR_FORBIDDEN);
    assert_int_equal(check(c, "GET", "web.other", ""), OK);
    c->allow_namespace = (struct string_list){ allowed, 2 };
    assert_int_equal(check(c, "GET", "web.shop", ""), OK);
    assert_int_equal(check(c, "GET", "web.other", ""), ERR_FORBIDDEN);
    assert_int_equal(check(c, "GET", "web.secret", ""), ERR_FORBIDDEN);
    assert_int_equal(check(c, "GET", "localhost", ""), OK);
    c->deny_namespace = c->allow_namespace = (struct string_list){ 0 };
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_only_the_clusters_own_pages_change_things),
        cmocka_unit_test(lets_no_second_origin_slip_through),
        cmocka_unit_test(refuses_parts_of_pages_from_elsewhere),
        cmocka_unit_test(closes_namespaces),
    };
    return cmocka_run_group_tests_name("serve/policy", tests, NULL, NULL);
}
