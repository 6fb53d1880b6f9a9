/* tests/unit/cluster/difference_test.c - differences between two readings of a context */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/difference.h"

#include "base/own.h"
#include "kube/kubeconfig.h"
#include "kube/target_load.h"

#define USER_BEGIN "kind: Config\nusers:\n- name: u\n  user:\n"
#define REST                                                                             \
    "clusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1'}\n"                  \
    "contexts:\n- name: x\n  context: {cluster: c, user: u}\n"

static struct kube_target *target_at(const char *text, const char *path)
{
    struct diag why = { "" };
    struct kubeconfig *kc = NULL;
    struct kube_target *t = NULL;

    enum err e = kubeconfig_parse(str_of(text), path, &kc, &why);
    if (!e)
        e = kube_target_from(kc, "x", NULL, &t, &why);
    if (e)
        fail_msg("%s\n%s", why.text, text);
    kubeconfig_destroy(kc);
    return t;
}

static enum difference compare_at(const char *before, const char *after, const char *path)
{
    struct kube_target *a = target_at(before, "/one/config"), *b = target_at(after, path);
    enum difference d = target_difference(a, b);

    assert_int_equal(d, target_difference(b, a));
    kube_target_destroy(a);
    kube_target_destroy(b);
    return d;
}

static enum difference compare(const char *before, const char *after)
{
    return compare_at(before, after, "/one/config");
}

/* Each line differs from all others. */
static void a_change_of_any_user_field_is_one_of_credentials(void **state)
{
    (void)state;
    static const char *const users[] = {
        "    {}\n",
        "    token: a\n",
        "    token: b\n",
        "    tokenFile: /a\n",
        "    {username: a, password: b}\n",
        "    {username: a, password: c}\n",
        "    {client-certificate-data: YQ==, client-key-data: YQ==}\n",
        "    {client-certificate-data: YQ==, client-key-data: Yg==}\n",
        "    {client-certificate-data: Yg==, client-key-data: YQ==}\n",
        "    {client-certificate: /a, client-key-data: YQ==}\n",
        "    {client-certificate: /a, client-key: /b}\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        for (size_t j = 0; j < ARRAY_LEN(users); j++) {
            AUTO_FREE char *a = xasprintf("%s%s%s", USER_BEGIN, users[i], REST);
            AUTO_FREE char *b = xasprintf("%s%s%s", USER_BEGIN, users[j], REST);
            enum difference d = compare(a, b);
            if (d != (i == j ? DIFFERENCE_NONE : DIFFERENCE_CREDENTIALS))
                fail_msg("%s%s: %d", users[i], users[j], (int)d);
        }
}

static void a_change_of_any_cluster_field_is_another_server(void **state)
{
    (void)state;
    static const char *const clusters[] = {
        "{server: 'http://127.0.0.1:1'}",
        "{server: 'http://127.0.0.1:2'}",
        "{server: 'http://127.0.0.1:1', tls-server-name: a}",
        "{server: 'http://127.0.0.1:1', proxy-url: 'http://a:1'}",
        "{server: 'http://127.0.0.1:1', insecure-skip-tls-verify: true}",
        "{server: 'http://127.0.0.1:1', disable-compression: true}",
    };

    for (size_t i = 0; i < ARRAY_LEN(clusters); i++)
        for (size_t j = 0; j < ARRAY_LEN(clusters); j++) {
            const char *format = "contexts: [{name: x, context: {cluster: c}}]\n"
                                 "clusters: [{name: c, cluster: %s}]\n";
            AUTO_FREE char *a = xasprintf(format, clusters[i]);
            AUTO_FREE char *b = xasprintf(format, clusters[j]);
            enum difference d = compare(a, b);
            if (d != (i == j ? DIFFERENCE_NONE : DIFFERENCE_SERVER))
                fail_msg("%s %s: %d", clusters[i], clusters[j], (int)d);
        }
}

static void a_changed_namespace_is_the_least_difference(void **state)
{
    (void)state;
    AUTO_FREE char *without =
        xasprintf("contexts: [{name: x, context: {cluster: c}}]\n%s",
                  "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n");
    AUTO_FREE char *with =
        xasprintf("contexts: [{name: x, context: {cluster: c, namespace: shop}}]\n%s",
                  "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n");

    assert_int_equal(compare(without, with), DIFFERENCE_NAMESPACE);
    assert_int_equal(compare(with, with), DIFFERENCE_NONE);
}

/* The same text in another folder names another file. */
static void relative_paths_are_compared_with_their_folder(void **state)
{
    (void)state;
    AUTO_FREE char *relative =
        xasprintf("%s    {client-certificate: a, client-key: b}\n%s", USER_BEGIN, REST);
    AUTO_FREE char *absolute =
        xasprintf("%s    {client-certificate: /a, client-key: /b}\n%s", USER_BEGIN, REST);

    assert_int_equal(compare_at(relative, relative, "/one/config"), DIFFERENCE_NONE);
    assert_int_equal(compare_at(relative, relative, "/two/config"),
                     DIFFERENCE_CREDENTIALS);
    assert_int_equal(compare_at(absolute, absolute, "/two/config"), DIFFERENCE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_any_user_field_is_one_of_credentials),
        cmocka_unit_test(a_change_of_any_cluster_field_is_another_server),
        cmocka_unit_test(a_changed_namespace_is_the_least_difference),
        cmocka_unit_test(relative_paths_are_compared_with_their_folder),
    };
    return cmocka_run_group_tests_name("cluster/difference", tests, NULL, NULL);
}
