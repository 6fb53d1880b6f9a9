/* tests/unit/kube/target_test.c - targets from kubeconfigs, and the error of every
 * mistake
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/own.h"
#include "folder.h"
#include "kube/server_url.h"
#include "kube/service_account.h"
#include "kube/exec_credential.h"
#include "kube/target_load.h"
#include "playground/ca.h"

static void forget_environment(void)
{
    static const char *const names[] = { "KUBECONFIG", "KUBERNETES_SERVICE_HOST",
                                         "POD_NAMESPACE", "KUBERNETES_SERVICE_PORT" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    setenv("HOME", "/nonexistent", 1);
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* A kubeconfig with one cluster and one user; the arguments are their fields. */
static const char *config_of(const char *cluster, const char *user)
{
    static char text[8192];
    snprintf(text, sizeof(text),
             "current-context: dev\n"
             "contexts:\n"
             "- {name: dev, context: {cluster: c, user: u}}\n"
             "clusters:\n"
             "- {name: c, cluster: {%s}}\n"
             "users:\n"
             "- {name: u, user: {%s}}\n",
             cluster, user);
    return text;
}

/* A certificate and its key, as text and in base64. */
static struct identity pem;
static char *certificate_base64, *key_base64;

static int make_certificate(void **state)
{
    (void)state;
    struct certificate_request request = { .common_name = "u", .days = 1 };
    struct local_ca *ca;
    struct diag why;

    if (local_ca_create("authority", &ca, &why) ||
        local_ca_issue(ca, &request, &pem, &why))
        return -1;
    local_ca_destroy(ca);
    certificate_base64 = base64_encode(str_of(pem.certificate));
    key_base64 = base64_encode(str_of(pem.key));
    return 0;
}

static int drop_certificate(void **state)
{
    (void)state;
    identity_finish(&pem);
    free(certificate_base64);
    free(key_base64);
    return 0;
}

static struct kube_target *load(const char *path)
{
    struct kube_target *t = NULL;
    struct diag why = { "" };

    if (kube_target_load(path, NULL, NULL, &t, &why))
        fail_msg("%s", why.text);
    return t;
}

static void follows_the_current_context(void **state)
{
    (void)state;
    struct folder f;
    folder_create(&f);
    folder_put(&f, "ca.pem", pem.certificate);
    folder_put(&f, "token", "abc\n");
    AUTO_FREE char *user =
        xasprintf("as-groups: [], as-user-extra: {}, as: '', tokenFile: token, "
                  "client-certificate-data: %s, client-key-data: %s",
                  certificate_base64, key_base64);
    struct kube_target *t = load(folder_put(
        &f, "config",
        config_of(
            "server: 'https://api.example:6443/k8s/', certificate-authority: ca.pem, "
            "tls-server-name: other, proxy-url: 'socks5://p:1'",
            user)));

    assert_string_equal(t->server, "https://api.example:6443/k8s");
    assert_string_equal(t->host, "api.example");
    assert_int_equal(t->port, 6443);
    assert_string_equal(t->prefix, "/k8s");
    assert_string_equal(t->host_header, "api.example:6443");
    assert_true(t->tls);
    assert_string_equal(t->ca, pem.certificate);
    assert_non_null(t->identity);
    assert_string_equal(t->certificate, pem.certificate);
    assert_string_equal(t->key, pem.key);
    assert_string_equal(t->tls_server_name, "other");
    assert_string_equal(t->proxy, "socks5://p:1");
    assert_null(t->token);
    assert_non_null(strstr(t->token_file, "/token"));
    assert_string_equal(t->context, "dev");
    assert_string_equal(t->ns, "default");
    kube_target_destroy(t);
    folder_destroy(&f);
}

static void refuses_with_file_line_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *cluster, *user, *expected;
    } cases[] = {
        /* clang-format off */
        { "", "", ":5: cluster \"c\": no server is given" },
        { "server: 'ftp://x'", "", ":5: cluster \"c\": server \"ftp://x\": the scheme" },
        { "server: 'https://u:hunter2@x'", "", "server \"https://u:xxxxx@x\": credentials belong" },
        { "server: x, proxy-url: 'ftp://u:hunter2@x'", "", "proxy-url \"ftp://u:xxxxx@x\": it begins with" },
        { "server: x, proxy-url: 'p:1'", "", "proxy-url \"p:1\": it begins with" },
        { "server: 'https://x', certificate-authority: no.pem", "", ":5: cluster \"c\": certificate-authority: " },
        { "server: 'https://x', certificate-authority: config", "", ":5: cluster \"c\": certificate-authority " },
        { "server: 'https://x', certificate-authority: a, certificate-authority-data: b", "", "both certificate-authority and" },
        { "server: 'https://x', certificate-authority-data: '!!'", "", "certificate-authority-data is not base64" },
        { "server: 'https://x', certificate-authority-data: aGk=", "", "certificate-authority-data: holds no PEM" },
        { "server: 'https://x', certificate-authority-data: DATA+OMITTED", "", "kubectl config view --raw" },
        { "server: 'https://x'", "token: REDACTED", ":7: user \"u\": token is \"REDACTED\": this file was printed without" },
        { "server: 'https://x'", "client-certificate: config, client-key: config", ":7: user \"u\": client-certificate " },
        { "server: 'https://x', insecure-skip-tls-verify: true, certificate-authority-data: aGk=", "", "exclude each other" },
        { "server: 'https://x'", "client-certificate: a", ":7: user \"u\": a client-certificate without" },
        { "server: 'https://x'", "client-certificate: a, client-key: b", ":7: user \"u\": client-certificate: " },
        { "server: 'https://x'", "token: a, username: b", ":7: user \"u\": a token and a username" },
        { "server: 'https://x'", "tokenFile: a, username: b", "a token and a username" },
        { "server: 'https://x'", "tokenFile: none", ":7: user \"u\": tokenFile: " },
        { "server: 'https://x'", "token: 'a b'", "blanks in the token" },
        { "server: 'https://x'", "exec: {command: aws}", ":7: user \"u\": apiVersion must be specified" },
        { "server: 'https://x'", "auth-provider: {name: oidc}", "must provide idp-issuer-url" },
        { "server: 'https://x'", "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://x'}}", "must provide client-id" },
        { "server: 'https://x'", "auth-provider: {name: oidc, config: {idp-issuer-url: x, client-id: y}}", "is no URL" },
        { "server: 'https://x'", "auth-provider: {name: gcp}", "gke-gcloud-auth-plugin" },
        { "server: 'https://x'", "auth-provider: {name: azure}", "kubelogin convert-kubeconfig" },
        { "server: 'https://x'", "auth-provider: {name: openstack}", "no auth-provider \"openstack\"" },
        { "server: 'https://x'", "exec: {command: a}, auth-provider: {name: b}", "exec and auth-provider exclude" },
        { "server: 'https://x'", "exec: {apiVersion: a}", "command must be specified" },
        { "server: 'https://x'", "token: a, exec: {command: b}", "apiVersion must be specified" },
        { "server: 'https://x'", "exec: {command: a, apiVersion: " EXEC_API_V1 "}", "interactiveMode must be specified" },
        { "server: 'https://x'", "exec: {command: a, apiVersion: " EXEC_API_V1 ", interactiveMode: Sometimes}", "interactiveMode \"Sometimes\" is none of" },
        { "server: 'https://x'", "exec: {command: a, apiVersion: " EXEC_API_V1ALPHA1 "}", "of v1alpha1 are not supported" },
        { "server: 'https://x'", "exec: {command: a, apiVersion: v3}", "apiVersion \"v3\" is not known" },
        { "server: 'https://x'", "exec: {command: a, apiVersion: " EXEC_API_V1BETA1 ", env: [{value: b}]}", "has no name" },
        { "server: 'https://x'", "token: a, as-groups: [g]", "without impersonating a user" },
        { "server: 'https://x'", "token: a, as-uid: u", "without impersonating a user" },
        { "server: 'https://x'", "token: a, as-user-extra: {a: [b]}", "without impersonating a user" },
        { "server: 'https://x'", "token: a, as: \"a\\r\\nb\"", "a control character in what it impersonates" },
    }; /* clang-format on */
    struct folder f;
    folder_create(&f);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_target *t = NULL;
        struct diag why = { "" };
        const char *path =
            folder_put(&f, "config", config_of(cases[i].cluster, cases[i].user));
        enum err e = kube_target_load(path, NULL, NULL, &t, &why);

        assert_int_not_equal(e, OK);
        assert_null(t);
        assert_contains(why.text, cases[i].expected);
        assert_contains(why.text, path);
    }
    folder_destroy(&f);
}

/* A changed kubeconfig is read on the event loop, which must not wait for a writer. */
static void refuses_a_pipe_for_a_certificate(void **state)
{
    (void)state;
    struct folder f;
    folder_create(&f);
    AUTO_FREE char *pipe = xasprintf("%s/pipe", f.path);
    AUTO_FREE char *cluster =
        xasprintf("server: 'https://x', certificate-authority: %s", pipe);
    struct kube_target *t = NULL;
    struct diag why = { "" };

    assert_int_equal(mkfifo(pipe, 0600), 0);
    alarm(20);
    const char *path = folder_put(&f, "config", config_of(cluster, "token: a"));
    assert_int_not_equal(kube_target_load(path, NULL, NULL, &t, &why), OK);
    alarm(0);
    assert_contains(why.text, "not a regular file");
    folder_destroy(&f);
}

static void prefers_credentials_to_a_plugin(void **state)
{
    (void)state;
    struct folder f;
    folder_create(&f);
    struct kube_target *t = load(folder_put(
        &f, "config",
        config_of("server: 'https://x'",
                  "token: a, exec: {command: b, apiVersion: " EXEC_API_V1BETA1 "}")));

    assert_string_equal(t->token, "a");
    kube_target_destroy(t);
    folder_destroy(&f);
}

static void gives_a_plain_server_no_credentials(void **state)
{
    (void)state;
    struct folder f;
    folder_create(&f);
    struct kube_target *t =
        load(folder_put(&f, "config", config_of("server: 'x:8080'", "token: a")));

    assert_false(t->tls);
    assert_null(t->token);
    kube_target_destroy(t);
    folder_destroy(&f);
}

static void chooses_context_and_namespace(void **state)
{
    (void)state;
    struct folder f;
    struct kube_target *t = NULL;
    struct diag why = { "" };
    folder_create(&f);
    const char *path =
        folder_put(&f, "config",
                   "contexts:\n"
                   "- {name: a, context: {cluster: c, user: u, namespace: n}}\n"
                   "- {name: b, context: {cluster: c}}\n"
                   "- {name: d, context: {cluster: nope, user: u}}\n"
                   "- {name: e, context: {cluster: c, user: nope}}\n"
                   "clusters: [{name: c, cluster: {server: x}}]\n"
                   "users: [{name: u}]\n");

    assert_int_equal(kube_target_load(path, NULL, NULL, &t, &why), ERR_CONFIG);
    assert_contains(why.text, "no current-context is set");
    assert_contains(why.text, "(a, b, d, e)");
    assert_int_equal(kube_target_load(path, "zz", NULL, &t, &why), ERR_CONFIG);
    assert_contains(why.text, "no context \"zz\"");
    assert_int_equal(kube_target_load(path, "b", NULL, &t, &why), OK);
    assert_null(t->user);
    kube_target_destroy(t);
    assert_int_equal(kube_target_load(path, "d", NULL, &t, &why), ERR_CONFIG);
    assert_contains(why.text, ":4: context \"d\": no cluster \"nope\"");
    assert_int_equal(kube_target_load(path, "e", NULL, &t, &why), OK);
    assert_null(t->user);
    kube_target_destroy(t);

    assert_int_equal(kube_target_load(path, "a", NULL, &t, &why), OK);
    assert_string_equal(t->ns, "n");
    kube_target_destroy(t);
    assert_int_equal(kube_target_load(path, "a", "mine", &t, &why), OK);
    assert_string_equal(t->ns, "mine");
    kube_target_destroy(t);
    folder_destroy(&f);
}

static void looks_for_files_in_order(void **state)
{
    (void)state;
    struct folder f;
    struct kube_target *t = NULL;
    struct diag why = { "" };
    char list[300];
    folder_create(&f);
    folder_put(&f, "one", "current-context: dev\n");
    folder_put(&f, "two", config_of("server: 'https://two'", ""));
    folder_put(&f, "broken", "{");
    forget_environment();

    assert_int_equal(kube_target_load("/no/such", NULL, NULL, &t, &why), ERR_NOT_FOUND);
    assert_contains(why.text, "/no/such");
    assert_int_equal(kube_target_load(NULL, NULL, NULL, &t, &why), ERR_NOT_FOUND);
    assert_contains(why.text, "/nonexistent/.kube/config");
    const char *other = folder_put(&f, "other", "apiVersion: v1\nkind: Pod\n");
    assert_int_equal(kube_target_load(other, NULL, NULL, &t, &why), ERR_CONFIG);
    assert_contains(why.text, "/other: it is a Pod, not a kubeconfig");

    snprintf(list, sizeof(list), ":%s/missing:%s/one::%s/two:%s/two", f.path, f.path,
             f.path, f.path);
    setenv("KUBECONFIG", list, 1);
    t = load(NULL);
    assert_string_equal(t->host, "two");
    kube_target_destroy(t);
    t = NULL;

    snprintf(list, sizeof(list), "%s/two:%s/broken", f.path, f.path);
    setenv("KUBECONFIG", list, 1);
    assert_int_equal(kube_target_load(NULL, NULL, NULL, &t, &why), ERR_CONFIG);
    assert_contains(why.text, "/broken:");
    unsetenv("KUBECONFIG");
    folder_destroy(&f);
}

static void uses_the_service_account_of_its_pod(void **state)
{
    (void)state;
    struct folder f;
    struct kube_target *t = NULL;
    struct diag why = { "" };
    folder_create(&f);
    forget_environment();

    assert_int_equal(service_account_load(f.path, NULL, &t, &why), ERR_NOT_FOUND);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_false(service_account_present());
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_true(service_account_present());
    assert_int_equal(service_account_load(f.path, NULL, &t, &why), ERR_NOT_FOUND);
    assert_contains(why.text, "service account: ");
    assert_contains(why.text, "/token");

    folder_put(&f, "token", "t1\n");
    folder_put(&f, "ca.crt", pem.certificate);
    folder_put(&f, "namespace", "shop\n");
    assert_int_equal(service_account_load(f.path, NULL, &t, &why), OK);
    assert_string_equal(t->server, "https://[fd00::1]");
    assert_string_equal(t->host, "fd00::1");
    assert_int_equal(t->port, 443);
    assert_string_equal(t->host_header, "[fd00::1]");
    assert_string_equal(t->context, "in-cluster");
    assert_string_equal(t->ns, "shop");
    assert_string_equal(t->ca, pem.certificate);
    assert_non_null(t->identity);
    kube_target_destroy(t);

    setenv("POD_NAMESPACE", "pod-ns", 1);
    assert_int_equal(service_account_load(f.path, NULL, &t, &why), OK);
    assert_string_equal(t->ns, "pod-ns");
    kube_target_destroy(t);
    assert_int_equal(service_account_load(f.path, "mine", &t, &why), OK);
    assert_string_equal(t->ns, "mine");
    kube_target_destroy(t);
    forget_environment();
    folder_destroy(&f);
}

/* Its files are not here, so the error is about the service account. */
static void uses_the_service_account_where_the_kubeconfig_is_empty(void **state)
{
    (void)state;
    static const struct {
        const char *text, *context;
        bool in_pod;
        const char *expected;
    } cases[] = {
        { "", NULL, true, "service account: " },
        { "# nothing\n", NULL, true, "service account: " },
        { "clusters: [{name: c}]\n", NULL, true, "service account: " },
        { "", "dev", true, "no context \"dev\"" },
        { "current-context: dev\n", NULL, true, "no context \"dev\"" },
        { "", NULL, false, "it has no contexts" },
    };
    struct folder f;
    folder_create(&f);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_target *t = NULL;
        struct diag why = { "" };
        forget_environment();
        if (cases[i].in_pod) {
            setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
            setenv("KUBERNETES_SERVICE_PORT", "1", 1);
        }
        const char *path = folder_put(&f, "config", cases[i].text);
        assert_int_not_equal(kube_target_load(path, cases[i].context, NULL, &t, &why),
                             OK);
        assert_contains(why.text, cases[i].expected);
        setenv("KUBECONFIG", path, 1);
        if (kube_target_load(NULL, cases[i].context, NULL, &t, &why) == OK)
            fail_msg("case %zu", i);
        if (cases[i].in_pod)
            assert_contains(why.text, cases[i].expected);
    }
    forget_environment();
    folder_destroy(&f);
}

static void takes_server_urls_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *server, *host; /* server NULL: refused */
        uint16_t port;
    } cases[] = {
        /* clang-format off */
        { "https://h",              "https://h",           "h",       443 },
        { "HTTPS://h:443/",         "https://h",           "h",       443 },
        { "http://h:8001/a/b//",    "http://h:8001/a/b",   "h",       8001 },
        { "h:1",                    "http://h:1",          "h",       1 },
        { "https://h//a//./b/../c/", "https://h/a/c",      "h",       443 },
        { "https://h/..",           "https://h",           "h",       443 },
        { "h",                      "http://h",            "h",       80 },
        { "https://[fd00::1]:6443", "https://[fd00::1]:6443", "fd00::1", 6443 },
        { "https://[fd00::1]",      "https://[fd00::1]",   "fd00::1", 443 },
        { "https://",               NULL, NULL, 0 },
        { "",                       NULL, NULL, 0 },
        { "https://h:x",            NULL, NULL, 0 },
        { "https://h:0",            NULL, NULL, 0 },
        { "https://h:65536",        NULL, NULL, 0 },
        { "https://fd00::1",        NULL, NULL, 0 },
        { "https://[fd00::1",       NULL, NULL, 0 },
        { "https://[fd00::1]x",     NULL, NULL, 0 },
        { "https://u:p@h",          NULL, NULL, 0 },
        { "https://h/?q",           NULL, NULL, 0 },
        { "https://h/\r\nX: y",     NULL, NULL, 0 },
        { "unix:///x",              NULL, NULL, 0 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_target *t = xcalloc(1, sizeof(*t));
        struct diag why = { "" };
        enum err e = server_url_set(t, cases[i].text, &why);

        if (e != (cases[i].server ? OK : ERR_CONFIG))
            fail_msg("%s: %s", cases[i].text, why.text);
        if (!e) {
            assert_string_equal(t->server, cases[i].server);
            assert_string_equal(t->host, cases[i].host);
            assert_int_equal(t->port, cases[i].port);
        }
        kube_target_destroy(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_current_context),
        cmocka_unit_test(refuses_with_file_line_and_name),
        cmocka_unit_test(refuses_a_pipe_for_a_certificate),
        cmocka_unit_test(prefers_credentials_to_a_plugin),
        cmocka_unit_test(gives_a_plain_server_no_credentials),
        cmocka_unit_test(chooses_context_and_namespace),
        cmocka_unit_test(looks_for_files_in_order),
        cmocka_unit_test(uses_the_service_account_of_its_pod),
        cmocka_unit_test(uses_the_service_account_where_the_kubeconfig_is_empty),
        cmocka_unit_test(takes_server_urls_apart),
    };
    forget_environment();
    return cmocka_run_group_tests_name("kube/target", tests, make_certificate,
                                       drop_certificate);
}
