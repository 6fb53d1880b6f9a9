/* tests/unit/serve/policy_test.c - web pages and namespaces that are refused */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/policy.h"

#include "base/own.h"
#include "serve/explain.h"
#include "serve/target.h"

#define FULL "web.shop.svc.cluster.local"
#define LOCAL "web.shop.localhost"

static struct http1_field room[32];
static struct http1_head head = { .fields = room, .room = ARRAY_LEN(room) };
static struct refusal why;
static struct explanation page; /* of `why` */

static bool is_label(const void *owner, struct str label)
{
    (void)owner;
    return str_eq(label, STR("prod"));
}

/* Through a proxy, so that short names are hosts as well. */
static enum err check(const struct config *c, const char *method, const char *host,
                      const char *fields)
{
    static const char *const aliases[] = { "front", "front.example.com" };
    AUTO(naming_finish) struct naming naming;
    const struct rules rules = { c, &naming, is_label, NULL };
    struct target target;

    naming_init(&naming, "cluster.local");
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        assert_int_equal(naming_add_alias(&naming, str_of(aliases[i]), STR(FULL),
                                          (struct str){ 0 }, NULL),
                         OK);
    AUTO_FREE char *text = xasprintf("%s http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                                     method, host, host, fields);

    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    assert_int_equal(target_read(&head, &rules, 80, &target, &why), OK);
    why = (struct refusal){ 0 };
    enum err e = policy_check(&rules, &head, &target, &why);
    if (e)
        explain(&why, NULL, &page); /* while the head is there */
    else
        assert_null(why.subject.at);
    assert_true(!e || cause_status(why.cause) == 403);
    return e;
}

/* At the address of a service, 127.9.8.7. */
static enum err check_at_address(const struct config *c, const char *name,
                                 const char *host, const char *fields)
{
    AUTO(naming_finish) struct naming naming;
    const struct rules rules = { c, &naming, is_label, NULL };
    struct exposed exposed = { .refs = 1, .address = "127.9.8.7" };
    struct target target;

    naming_init(&naming, "cluster.local");
    name_parse(str_of(name), STR("cluster.local"), &exposed.route.name);
    AUTO_FREE char *text =
        xasprintf("GET / HTTP/1.%s%s%s\r\n%s\r\n", host ? "1\r\n" : "0",
                  host ? "Host: " : "", host ? host : "", fields);
    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    assert_int_equal(target_exposed(&head, &exposed, &target, &why), OK);
    why = (struct refusal){ 0 };
    enum err e = policy_check(&rules, &head, &target, &why);
    if (e)
        explain(&why, NULL, &page);
    return e;
}

#define BROWSER "User-Agent: Mozilla/5.0\r\n"

static void at_an_address_only_names_of_its_service_are_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool program, browser; /* may use it */
    } cases[] = {
        { "127.9.8.7", true, true },
        { "127.9.8.7:8080", true, true },
        { FULL, true, true },
        { FULL ".:80", true, true },
        { "WEB.Shop.svc", true, true },
        { LOCAL, true, true },
        { "web.shop", true, false },
        { "web", true, false },
        { "web.sho", false, false },
        { "127.9.8.8", false, false },
        { "127.0.0.1", false, false },
        { "localhost", false, false },
        { "evil.example", false, false },
        { "api.shop.svc.cluster.local", false, false },
        { "web.other.svc.cluster.local", false, false },
        { "web.shop.svc.cluster.local.evil.example", false, false },
        { NULL, true, false },
    };
    AUTO(config_unrefp) struct config *c = config_default();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err e = check_at_address(c, "web.shop.svc", cases[i].host, "");
        assert_int_equal(e, cases[i].program ? OK : ERR_FORBIDDEN);
        e = check_at_address(c, "web.shop.svc", cases[i].host, BROWSER);
        assert_int_equal(e, cases[i].browser ? OK : ERR_FORBIDDEN);
    }
    assert_int_equal(check_at_address(c, "web.shop.svc", "evil.example", BROWSER),
                     ERR_FORBIDDEN);
    assert_int_equal(why.cause, CAUSE_HOST_OF_ADDRESS);
    assert_non_null(strstr(page.hint, "http://web.shop.svc"));
    assert_int_equal(check_at_address(c, "db-0.db.shop.svc", "db-0.db", ""), OK);
    assert_int_equal(check_at_address(c, "db-0.db.shop.svc", "db.shop.svc", BROWSER), OK);
    assert_int_equal(check_at_address(c, "web.shop.svc", FULL,
                                      "Origin: http://127.9.8.8\r\n"
                                      "Sec-Fetch-Site: cross-site\r\n"),
                     ERR_FORBIDDEN);
    assert_int_equal(why.cause, CAUSE_CROSS_SITE);
}

static void a_host_that_is_allowed_may_lead_to_an_address(void **state)
{
    (void)state;
    const struct config_flag flag = { "allow-host", "my.example" };
    AUTO(config_unrefp) struct config *c = NULL;

    assert_int_equal(
        config_load(&(struct config_input){ .flags = &flag, .flag_count = 1 }, &c, NULL),
        OK);
    assert_int_equal(check_at_address(c, "web.shop.svc", "my.example", BROWSER), OK);
}

static const struct {
    const char *origin;
    bool foreign;
} origins[] = {
    { "http://localhost", false },
    { "http://localhost:3000", false },
    { "HTTPS://LocalHost:3000", false },
    { "http://127.0.0.1", false },
    { "http://127.0.1.1:80", false },
    { "http://[::1]:80", false },
    { "http://" FULL, false },
    { "http://" FULL ".:8080", false },
    { "http://api.shop.localhost:8080", false },
    { "http://api.shop.svc.localhost", false },
    { "https://api.shop.svc.cluster.local", false },
    { "http://db-0.db.shop.svc.cluster.local:5432", false },
    { "https://allowed.example", false },
    { "http://allowed.example:8080", false },
    { "https://exact.example:8443", false },
    { "https://default.example", false },
    { "http://web.other", false },
    { "http://a.b.other:81", false },
    { "vscode-webview://0d5f2c", false },
    { "https://exact.example", true },
    { "http://exact.example:8443", true },
    { "http://default.example", true },
    { "evil://allowed.example", true },
    { "evil://web.other", true },
    { "http://other", true },
    { "http://another", true },
    { "http://1.2.3.other.evil.example", true },
    { "http://127.1.2.3:80", true }, /* the address of a service, maybe */
    { "null", true },
    { "", true },
    { "https://evil.example", true },
    /* Names of other namespaces, and names that are no full names of a service. */
    { "http://evil.tenant.svc.cluster.local", true },
    { "http://evil.tenant.localhost", true },
    { "http://evil.tenant.svc.localhost", true },
    { "http://x.evil.svc", true },
    { "http://api.shop.svc", true },
    { "http://10-0-0-7.shop.pod.cluster.local", true },
    { "http://shop.localhost", true },
    { "http://a.localhost", true },
    { "http://api.shop", true }, /* any attacker can own that name */
    /* Aliases of a service of the same namespace. */
    { "http://front.localhost:8080", false },
    { "http://front.example.com.localhost", false },
    { "http://front", true },
    { "http://front.example.com", true },
    { "https://front.example.com", true },
    /* Schemes that are not the web's. */
    { "evil://localhost", true },
    { "evil://" FULL, true },
    { "ftp://127.0.0.1", true },
    { "javascript://localhost", true },
    /* Hosts that only look like loopback. */
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
    { "http://localhost:", true },
    { "http://localhost/", true },
    { "http:localhost", true },
    { "file://", true },
    { "localhost", true },
};

static const char *const patterns[] = {
    "allowed.example", "https://exact.example:8443", "https://default.example:443",
    "*.other",         "vscode-webview://*",
};

static void list_origins(struct config *c, const char *const *at, size_t count)
{
    c->allow_origin.at = xcalloc(count, sizeof(char *));
    c->allow_origin.count = count;
    for (size_t i = 0; i < count; i++)
        c->allow_origin.at[i] = xstrdup(at[i]);
}

static struct config *make_config(void)
{
    struct config *c = config_default();
    list_origins(c, patterns, ARRAY_LEN(patterns));
    return c;
}

static void only_pages_of_the_same_namespace_may_change_anything(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();

    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        AUTO_FREE char *field = xasprintf("Origin: %s\r\n", origins[i].origin);
        AUTO_FREE char *socket =
            xasprintf("%sUpgrade: websocket\r\nConnection: Upgrade\r\n", field);
        enum err wanted = origins[i].foreign ? ERR_FORBIDDEN : OK;
        if (check(c, "POST", FULL, field) != wanted ||
            check(c, "BREW", FULL, field) != wanted ||
            check(c, "GET", FULL, socket) != wanted)
            fail_msg("Origin: %s", origins[i].origin);
        assert_int_equal(check(c, "GET", FULL, field), OK);
        assert_int_equal(check(c, "HEAD", FULL, field), OK);
    }
}

/* A page, and what it loads from its own host. */
static void every_host_may_post_to_itself(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const char *const hosts[] = {
        "web.shop",
        "web.shop.svc",
        FULL,
        LOCAL,
        "10-0-0-7.shop.pod.localhost",
        "db-0.db.shop.svc.localhost",
        "localhost",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        AUTO_FREE char *own = xasprintf("Origin: http://%s\r\n", hosts[i]);
        if (check(c, "POST", hosts[i], own))
            fail_msg("%s", hosts[i]);
        assert_int_equal(check(c, "POST", "web.elsewhere.svc", own),
                         i + 1 < ARRAY_LEN(hosts) ? ERR_FORBIDDEN : OK);
    }
}

static void pages_of_services_may_not_read_own_pages(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();

    assert_int_equal(check(c, "POST", "localhost", "Origin: http://" LOCAL "\r\n"),
                     ERR_FORBIDDEN);
    assert_int_equal(check(c, "POST", "localhost", "Origin: http://127.0.0.1\r\n"), OK);
}

static void a_second_origin_field_is_checked(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();

    assert_int_equal(
        check(c, "POST", LOCAL,
              "Origin: http://localhost\r\nOrigin: https://evil.example\r\n"),
        ERR_FORBIDDEN);
}

#define FAR "Sec-Fetch-Site: cross-site\r\n"
#define SAME_SITE "Sec-Fetch-Site: same-site\r\n"
#define NAVIGATE "Sec-Fetch-Mode: navigate\r\n"
#define NO_CORS "Sec-Fetch-Mode: no-cors\r\n"
#define DOCUMENT NAVIGATE "Sec-Fetch-Dest: document\r\n"

static const struct {
    const char *host, *fields;
    enum err result;
} loads[] = {
    { LOCAL, "", OK },
    { LOCAL, "Sec-Fetch-Mode: cors\r\n", OK }, /* Node's fetch */
    { LOCAL, "Sec-Fetch-Site: same-origin\r\n", OK },
    { LOCAL, "Sec-Fetch-Site: none\r\n" NAVIGATE, OK },
    { LOCAL, FAR DOCUMENT, OK },
    { LOCAL, FAR DOCUMENT "Sec-Fetch-User: ?1\r\n", OK },
    { LOCAL, FAR NAVIGATE, ERR_FORBIDDEN },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: iframe\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: frame\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: object\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: embed\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: iframe\r\nSec-Fetch-User: ?1\r\n",
      ERR_FORBIDDEN },
    { LOCAL, FAR NO_CORS "Sec-Fetch-Dest: document\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NO_CORS, ERR_FORBIDDEN },
    { LOCAL, FAR, ERR_FORBIDDEN },
    /* The same service of another cluster is another service. */
    { "web.shop.prod.localhost", FAR "Origin: http://app.shop.localhost\r\n",
      ERR_FORBIDDEN },
    { "web.shop.prod.localhost", FAR "Origin: http://app.shop.dev.localhost\r\n",
      ERR_FORBIDDEN },
    { "web.shop.prod.localhost", FAR "Origin: http://app.shop.prod.localhost\r\n", OK },
    { "web.shop.prod.localhost", FAR "Origin: http://app.shop.svc.prod.k8s\r\n", OK },
    { LOCAL, FAR "Origin: http://app.shop.prod.localhost\r\n", ERR_FORBIDDEN },
    /* A page of the same site as the cluster. */
    { "web.shop.prod.localhost", "Sec-Fetch-Site: same-site\r\n", ERR_FORBIDDEN },
    { "web.shop.svc.prod.k8s", "Sec-Fetch-Site: same-site\r\n", ERR_FORBIDDEN },
    { "web.prod.localhost", "Sec-Fetch-Site: same-site\r\n", ERR_FORBIDDEN },
    { "web.prod.localhost",
      "Sec-Fetch-Site: same-site\r\nReferer: http://api.prod.localhost/\r\n", OK },
    { "web.prod.localhost",
      "Sec-Fetch-Site: same-site\r\nReferer: http://evil.other.prod.localhost/\r\n",
      ERR_FORBIDDEN },
    { "web.shop.prod.localhost", "Sec-Fetch-Site: same-origin\r\n", OK },
    { LOCAL, "Sec-Fetch-Site: same-origin\r\n" FAR, ERR_FORBIDDEN },
    { LOCAL, FAR "Origin: https://evil.example\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR "Origin: http://app.shop.localhost\r\n", OK },
    { LOCAL, FAR "Origin: https://allowed.example\r\n", OK },
    /* A redirect may have chosen the URL, so Referer counts only for those listed. */
    { LOCAL, FAR NO_CORS "Referer: http://localhost:3000/\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NO_CORS "Referer: http://app.shop.localhost/\r\n", ERR_FORBIDDEN },
    { LOCAL, FAR NO_CORS "Referer: https://allowed.example/a/b\r\n", OK },
    { LOCAL, FAR NAVIGATE "Sec-Fetch-Dest: iframe\r\nReferer: https://web.other/\r\n",
      OK },
    { LOCAL, FAR NO_CORS "Referer: https://evil.example/allowed.example\r\n",
      ERR_FORBIDDEN },
    { LOCAL, FAR NO_CORS "Referer: https://allowed.example@evil.example/\r\n",
      ERR_FORBIDDEN },
    { LOCAL,
      FAR NO_CORS "Origin: https://evil.example\r\nReferer: https://allowed.example/\r\n",
      ERR_FORBIDDEN },
    /* The site of web.shop.localhost is its namespace, that of other names is not. */
    { LOCAL, SAME_SITE NO_CORS, OK },
    { "web.shop.svc.localhost", SAME_SITE NO_CORS, ERR_FORBIDDEN },
    { FULL, SAME_SITE NO_CORS, ERR_FORBIDDEN },
    { FULL, SAME_SITE DOCUMENT, OK },
    { FULL, SAME_SITE NO_CORS "Referer: http://api.shop.svc.cluster.local/\r\n", OK },
    { FULL, SAME_SITE NO_CORS "Referer: http://evil.tenant.svc.cluster.local/\r\n",
      ERR_FORBIDDEN },
    { FULL, SAME_SITE "Origin: http://evil.tenant.svc.cluster.local\r\n", ERR_FORBIDDEN },
    { "localhost", FAR NO_CORS, ERR_FORBIDDEN },
    { "127.0.0.1", SAME_SITE NO_CORS, OK },
};

static void subresources_of_foreign_pages_are_refused(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = make_config();

    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        if (check(c, "GET", loads[i].host, loads[i].fields) != loads[i].result)
            fail_msg("%s: %s", loads[i].host, loads[i].fields);
    /* Only what is safe can be a visit. */
    assert_int_equal(check(c, "POST", LOCAL, FAR DOCUMENT), ERR_FORBIDDEN);
    assert_int_equal(check(c, "GET", LOCAL,
                           FAR DOCUMENT "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
                     ERR_FORBIDDEN);
}

/* The page prints a flag; a second kube-tunnel that is started with it allows it. */
static void prints_the_flag_that_allows_the_page(void **state)
{
    (void)state;
    static const struct {
        const char *method, *fields, *flag;
    } cases[] = {
        { "POST", "Origin: http://a.other.localhost:8080\r\n",
          "http://a.other.localhost:8080" },
        { "POST", "Origin: https://login.example\r\n", "https://login.example" },
        { "POST", "Origin: vscode-webview://0d5f\r\n", "vscode-webview://0d5f" },
        { "POST", "Origin: null\r\n", "null" },
        { "GET", FAR NO_CORS "Referer: http://localhost:3000/\r\n",
          "http://localhost:3000" },
        { "GET", FAR NAVIGATE "Sec-Fetch-Dest: iframe\r\n", "null" },
        { "GET", FAR "Origin: https://evil.example\r\n", "https://evil.example" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(config_unrefp) struct config *c = config_default();
        AUTO_FREE char *end = xasprintf("--allow-origin %s", cases[i].flag);
        assert_int_equal(check(c, cases[i].method, LOCAL, cases[i].fields),
                         ERR_FORBIDDEN);
        if (!str_ends(str_of(page.hint), str_of(end)))
            fail_msg("%s: %s", cases[i].fields, page.hint);
        list_origins(c, &cases[i].flag, 1);
        assert_int_equal(check(c, cases[i].method, LOCAL, cases[i].fields), OK);
    }
}

/* What a hostile page chose is not for pasting into a shell. */
static void no_flag_is_printed_for_a_malformed_origin(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = config_default();
    static const char *const bad[] = {
        "http://x;reboot",   "http://$(reboot)", "http://*", "http://a b", "*.com", "*",
        "https://x/\xc2\x80"
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *field = xasprintf("Origin: %s\r\n", bad[i]);
        assert_int_equal(check(c, "POST", LOCAL, field), ERR_FORBIDDEN);
        if (strstr(page.hint, "start kube-tunnel with"))
            fail_msg("%s: %s", bad[i], page.hint);
    }
}

static void denied_namespaces_are_refused(void **state)
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
        cmocka_unit_test(at_an_address_only_names_of_its_service_are_hosts),
        cmocka_unit_test(a_host_that_is_allowed_may_lead_to_an_address),
        cmocka_unit_test(only_pages_of_the_same_namespace_may_change_anything),
        cmocka_unit_test(every_host_may_post_to_itself),
        cmocka_unit_test(pages_of_services_may_not_read_own_pages),
        cmocka_unit_test(a_second_origin_field_is_checked),
        cmocka_unit_test(subresources_of_foreign_pages_are_refused),
        cmocka_unit_test(prints_the_flag_that_allows_the_page),
        cmocka_unit_test(no_flag_is_printed_for_a_malformed_origin),
        cmocka_unit_test(denied_namespaces_are_refused),
    };
    return cmocka_run_group_tests_name("serve/policy", tests, NULL, NULL);
}
