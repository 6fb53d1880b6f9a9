/* tests/unit/admin/admin_test.c - kube-tunnel's own pages */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "admin/admin.h"

#include "base/metrics.h"
#include "base/own.h"
#include "cluster/clusters.h"

/* The clusters of these tests. */
static bool ready;
static const char *trouble;

struct cluster_status clusters_status(const struct clusters *c, size_t i)
{
    struct cluster_status s = { .ready = ready };

    (void)c;
    (void)i;
    if (!ready && trouble)
        diag_set(&s.error, ERR_CONNECT, "%s", trouble);
    return s;
}

static const struct cluster_status *others;
static size_t other_count;

size_t clusters_count(const struct clusters *c)
{
    (void)c;
    return 1 + other_count;
}

void clusters_each(const struct clusters *c,
                   void (*each)(void *owner, const struct cluster_status *), void *owner)
{
    struct cluster_status first = clusters_status(c, 0);

    first.name = first.label = "prod";
    first.plain = first.connected = true;
    first.several = other_count > 0;
    each(owner, &first);
    for (size_t i = 0; i < other_count; i++)
        each(owner, &others[i]);
}

/* The plugin of "prod" needs a login; other contexts have no plugin. */
static bool logged_in;
static unsigned logins;
static enum err login_result;

bool clusters_need_login(const struct clusters *c, struct str label, struct diag *why)
{
    (void)c;
    diag_set(why, OK, "plugin <b>: still running");
    return str_eq(label, STR("prod")) && !logged_in;
}

enum err clusters_login(struct clusters *c, struct str label, struct diag *why)
{
    (void)c;
    logins++;
    if (!str_eq(label, STR("prod")))
        return diag_set(why, ERR_NOT_CONFIGURED, "no context");
    return login_result ? diag_set(why, login_result, "wrong <password>") : OK;
}

static const char *authority = "localhost:8080";

static struct admin_page get_page(const char *method, const char *path)
{
    struct admin *a = admin_create(NULL, "cluster.local");
    struct admin_page page;

    const struct admin_request request = { str_of(method), str_of(path),
                                           str_of(authority) };
    admin_answer(a, &request, &page);
    admin_destroy(a);
    return page;
}

static void assert_page(const char *method, const char *path, int status,
                        const char *part)
{
    struct admin_page page = get_page(method, path);

    if (page.status != status || !strstr(page.text, part))
        fail_msg("%s %s: %d\n%s", method, path, page.status, page.text);
    free(page.text);
}

static void front_page_has_the_version_and_the_form_of_a_url(void **state)
{
    (void)state;
    assert_page("GET", "/", 200, "http://<service>.<namespace>.svc.cluster.local/");
    assert_page("HEAD", "/", 200, "kube-tunnel " VERSION);
}

static void healthz_is_ok_in_every_state_of_the_cluster(void **state)
{
    (void)state;
    ready = false;
    assert_page("GET", "/healthz", 200, "ok\n");
}

static void readyz_is_ok_once_the_catalog_is_filled(void **state)
{
    (void)state;
    ready = false;
    trouble = NULL;
    assert_page("GET", "/readyz", 503, "still loading");
    trouble = "127.0.0.1:6443: connection refused";
    assert_page("GET", "/readyz", 503, "127.0.0.1:6443: connection refused");
    ready = true;
    assert_page("GET", "/readyz", 200, "ok\n");
}

static void metrics_are_served(void **state)
{
    (void)state;
    static struct metric m = { .name = "kube_tunnel_x", .help = "x" };
    metrics_register(&m);

    struct admin_page page = get_page("GET", "/metrics");
    assert_int_equal(page.status, 200);
    assert_string_equal(page.type, "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(page.text, "# TYPE kube_tunnel_x counter\n"));
    free(page.text);
}

static void the_pac_file_lists_full_names_only(void **state)
{
    (void)state;
    struct admin_page page = get_page("GET", "/proxy.pac");

    assert_string_equal(page.type, "application/x-ns-proxy-autoconfig");
    assert_non_null(strstr(page.text, "function FindProxyForURL(url, host)"));
    assert_non_null(strstr(page.text, "[\n"
                                      "        \".svc.cluster.local\",\n"
                                      "        \".pod.cluster.local\",\n"
                                      "        \".deploy.cluster.local\",\n"
                                      "    ];"));
    assert_non_null(strstr(page.text, "return \"PROXY localhost:8080\";"));
    assert_non_null(strstr(page.text, "return \"DIRECT\";"));
    free(page.text);
}

static void the_pac_file_names_the_clusters_by_label(void **state)
{
    (void)state;
    const struct cluster_status dev = { .label = "dev", .several = true };

    others = &dev;
    other_count = 1;
    assert_page("GET", "/proxy.pac", 200, "\".svc.dev.k8s\",");
    assert_page("GET", "/proxy.pac", 200, "\".svc.prod.k8s\",");
    other_count = 0;
}

static void the_pac_file_repeats_only_plain_authorities(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "127.0.0.1:8080", "PROXY 127.0.0.1:8080\"" },
        { "[::1]:80", "PROXY [::1]:80\"" },
        { "", "PROXY localhost\"" },
        { "a\";x\"", "PROXY localhost\"" },
        { "a b", "PROXY localhost\"" },
        { "a\\", "PROXY localhost\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        authority = cases[i][0];
        assert_page("GET", "/proxy.pac", 200, cases[i][1]);
    }
    authority = "localhost:8080";
}

static void other_methods_than_get_and_head_are_refused(void **state)
{
    (void)state;
    static const char *const methods[] = { "POST", "PUT", "DELETE", "get", "OPTIONS" };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct admin_page page = get_page(methods[i], "/healthz");
        assert_int_equal(page.status, 405);
        assert_string_equal(page.allow, "GET, HEAD");
        free(page.text);
    }
}

static void other_paths_are_404(void **state)
{
    (void)state;
    static const char *const paths[] = { "/x", "", "*", "//", "/healthz/", "/Metrics" };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_page("GET", paths[i], 404, "kube-tunnel itself");
}

#define BUTTON "<form method=\"post\"><button>Log in</button></form>"

static void login_page_has_a_button(void **state)
{
    (void)state;
    assert_page("GET", "/login/prod", 200, "plugin &#60;b&#62;: still running");
    assert_page("GET", "/login/prod", 200, BUTTON);
    assert_int_equal(logins, 0);
    login_result = ERR_AGAIN;
    assert_page("POST", "/login/prod", 200, "http-equiv=\"refresh\"");
    assert_int_equal(logins, 1);
    login_result = ERR_CREDENTIALS;
    assert_page("POST", "/login/prod", 200, "wrong &#60;password&#62;");
    assert_int_equal(logins, 2);
    login_result = OK;
    logged_in = true;
    assert_page("POST", "/login/prod", 200, "You are logged in");
    assert_page("POST", "/login/<x>", 404, "&#60;x&#62;");
    assert_page("PUT", "/login/prod", 405, "");
    struct admin_page page = get_page("GET", "/login/prod");
    assert_null(strstr(page.text, "<form"));
    assert_string_equal(page.type, "text/html; charset=utf-8");
    free(page.text);
}

static void front_page_lists_several_clusters(void **state)
{
    (void)state;
    const struct cluster_status several[] = {
        { .name = "gke_p_z_dev\n", .label = "dev", .several = true },
        { .name = "dead", .label = "dead", .several = true, .connected = true },
        { .name = "ok",
          .label = "ok",
          .several = true,
          .connected = true,
          .ready = true },
        { .name = "new", .label = "new", .several = true, .connected = true },
    };
    struct cluster_status copy[ARRAY_LEN(several)];

    memcpy(copy, several, sizeof(copy));
    diag_set(&copy[1].error, ERR_CONNECT, "connection refused");
    others = copy;
    other_count = ARRAY_LEN(copy);
    ready = true;
    assert_page("GET", "/readyz", 200,
                "ok\n"
                "prod: ok\n"
                "dev: not used yet\n"
                "dead: connection refused\n"
                "ok: ok\n"
                "new: still loading\n");
    assert_page("GET", "/", 200,
                "    http://<service>.<namespace>.prod.localhost/    prod (also the "
                "names above)\n"
                "    http://<service>.<namespace>.dev.localhost/    gke_p_z_dev \n");
    ready = false;
    trouble = "refused";
    assert_page("GET", "/readyz", 503,
                "The cluster is not known yet: refused\nprod: refused\n");
    trouble = NULL;
    other_count = 0;
    ready = true;
    assert_page("GET", "/readyz", 200, "ok\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front_page_has_the_version_and_the_form_of_a_url),
        cmocka_unit_test(healthz_is_ok_in_every_state_of_the_cluster),
        cmocka_unit_test(readyz_is_ok_once_the_catalog_is_filled),
        cmocka_unit_test(metrics_are_served),
        cmocka_unit_test(the_pac_file_lists_full_names_only),
        cmocka_unit_test(the_pac_file_names_the_clusters_by_label),
        cmocka_unit_test(the_pac_file_repeats_only_plain_authorities),
        cmocka_unit_test(other_methods_than_get_and_head_are_refused),
        cmocka_unit_test(other_paths_are_404),
        cmocka_unit_test(login_page_has_a_button),
        cmocka_unit_test(front_page_lists_several_clusters),
    };
    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
