/* tests/unit/kube/kubeconfig_test.c - reading and merging kubeconfig files */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "base/base64.h"
#include "kube/kubeconfig.h"

static struct kubeconfig *parse(const char *text, const char *path)
{
    struct kubeconfig *kc = NULL;
    struct diag why = { "" };

    if (kubeconfig_parse(str_of(text), path, &kc, &why))
        fail_msg("%s", why.text);
    return kc;
}

static const char whole[] =
    "apiVersion: v1\n"
    "kind: Config\n"
    "preferences: {}\n"
    "current-context: dev\n"
    "clusters:\n"
    "- name: c1\n"
    "  cluster:\n"
    "    server: https://1.2.3.4:6443\n"
    "    certificate-authority: ca.pem\n"
    "    insecure-skip-tls-verify: false\n"
    "    extensions:\n"
    "    - name: x\n"
    "      extension: { deep: [ 1, { 2: 3 } ] }\n"
    "users:\n"
    "- name: u1\n"
    "  user: { token: \"12\", client-key-data: null }\n"
    "- user:\n"
    "    exec: { command: aws, args: [ eks ], installHint: get it }\n"
    "  name: u2\n"
    "contexts:\n"
    "- { name: dev, context: { cluster: c1, user: u1, "
    "namespace: shop } }\n";

static void reads_what_kubectl_writes(void **state)
{
    (void)state;
    struct kubeconfig *kc = parse(whole, "/x/config");
    const struct kc_cluster *cluster = kubeconfig_cluster(kc, "c1");
    const struct kc_user *user = kubeconfig_user(kc, "u1");
    const struct kc_context *context = kubeconfig_context(kc, "dev");

    assert_string_equal(kc->current, "dev");
    assert_string_equal(cluster->server, "https://1.2.3.4:6443");
    assert_string_equal(cluster->ca_file, "ca.pem");
    assert_false(cluster->insecure);
    assert_int_equal(cluster->entry.line, 6);
    assert_string_equal(cluster->entry.file, "/x/config");
    assert_string_equal(user->token, "12");
    assert_null(user->key_data);
    assert_string_equal(kubeconfig_user(kc, "u2")->exec_command, "aws");
    assert_string_equal(kubeconfig_user(kc, "u2")->exec_hint, "get it");
    assert_string_equal(context->ns, "shop");
    assert_null(kubeconfig_user(kc, "u3"));
    assert_null(kubeconfig_user(kc, NULL));
    kubeconfig_destroy(kc);
}

static void reads_json_too(void **state)
{
    (void)state;
    struct kubeconfig *kc =
        parse("{\"current-context\":\"a\",\"clusters\":[{\"name\":\"c\","
              "\"cluster\":{\"insecure-skip-tls-verify\":true}}]}",
              "f");
    assert_string_equal(kc->current, "a");
    assert_true(kubeconfig_cluster(kc, "c")->insecure);
    kubeconfig_destroy(kc);
}

static void takes_an_empty_file_for_an_empty_configuration(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "\n# nothing\n",
                                         "---\n",
                                         "null",
                                         "{}",
                                         "kind: Config",
                                         "clusters: null\nusers: []" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct kubeconfig *kc = parse(texts[i], "f");
        assert_true(kubeconfig_empty(kc));
        kubeconfig_destroy(kc);
    }
}

static void names_the_line_of_every_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        /* clang-format off */
        { "a: b\n c: d",                               "f:2: " },
        { "clusters: [",                               "f:2: " },
        { "just text",                                 "f:1: expected a mapping" },
        { "- list",                                    "f:1: expected a mapping" },
        { "x: 1\nclusters: text",                      "f:2: expected a list" },
        { "clusters:\n- text",                         "f:2: expected a mapping" },
        { "users:\n- name: [a]",                       "f:2: expected text" },
        { "users:\n- user: {}\n",                      "f:2: a user without a name" },
        { "users:\n- name: a\n- name: b\n- name: a\n", "f:4: user \"a\" stands in line 2 already" },
        { "contexts:\n- name: a\n  context: 7",        "f:3: expected a mapping" },
        { "clusters:\n- name: a\n  cluster:\n    server: x\n    server: y\n", "f:5: given twice" },
        { "clusters:\n- name: a\n  cluster: { insecure-skip-tls-verify: maybe }", "f:3: expected true or false" },
        { "clusters:\n- name: a\n  cluster: { insecure-skip-tls-verify: [] }", "f:3: expected true or false" },
        { "a: &x {}\nclusters: *x",                    "f:2: expected no alias" },
        { "a: &x {}\nb: *x",                           "f:2: expected no alias" },
        { "users:\n- name: \"a\\0b\"",                 "f:2: expected text without NUL" },
        { "? [a]\n: b",                                "f:1: expected a plain key" },
        { "a: \xff",                                   "f:1: " },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kubeconfig *kc = NULL;
        struct diag why = { "" };
        enum err e = kubeconfig_parse(str_of(cases[i].text), "f", &kc, &why);

        if (e != ERR_CONFIG || !str_starts(str_of(why.text), str_of(cases[i].says)))
            fail_msg("%s: %s", cases[i].text, why.text);
        assert_null(kc);
    }
}

static void lets_the_first_file_win_entry_by_entry(void **state)
{
    (void)state;
    struct kubeconfig *kc = kubeconfig_create();

    kubeconfig_merge(kc, parse("clusters: [{name: a, cluster: {server: one}}]", "/1/f"));
    kubeconfig_merge(kc, parse("current-context: second\n"
                               "clusters:\n"
                               "- {name: a, cluster: {server: two, proxy-url: p}}\n"
                               "- {name: b, cluster: {server: two}}\n",
                               "/2/f"));
    kubeconfig_merge(kc, parse("current-context: third", "/3/f"));

    assert_string_equal(kubeconfig_cluster(kc, "a")->server, "one");
    assert_null(kubeconfig_cluster(kc, "a")->proxy);
    assert_string_equal(kubeconfig_cluster(kc, "b")->server, "two");
    assert_string_equal(kubeconfig_cluster(kc, "b")->entry.file, "/2/f");
    assert_string_equal(kc->current, "second");
    kubeconfig_destroy(kc);
}

/* RFC 4648, section 10, and what must not pass. */
static void speaks_base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    static const char *const wrong[] = { "Z",     "Zg",    "Zg=",  "Zg===", "=",   "====",
                                         "Zm9v=", "Zg==Z", "Z=g=", "Zm9*",  "Zm-_" };
    char *text = NULL;
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char *encoded = base64_encode(str_of(pairs[i][0]));
        assert_string_equal(encoded, pairs[i][1]);
        assert_int_equal(base64_decode(str_of(encoded), &text, &len), OK);
        assert_string_equal(text, pairs[i][0]);
        assert_int_equal(len, strlen(pairs[i][0]));
        free(encoded);
        free(text);
    }
    assert_int_equal(base64_decode(STR("Zm 9v\r\nYg\n=="), &text, &len), OK);
    assert_string_equal(text, "foob");
    free(text);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (base64_decode(str_of(wrong[i]), &text, &len) != ERR_PROTO)
            fail_msg("%s", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_kubectl_writes),
        cmocka_unit_test(reads_json_too),
        cmocka_unit_test(takes_an_empty_file_for_an_empty_configuration),
        cmocka_unit_test(names_the_line_of_every_mistake),
        cmocka_unit_test(lets_the_first_file_win_entry_by_entry),
        cmocka_unit_test(speaks_base64),
    };
    return cmocka_run_group_tests_name("kube/kubeconfig", tests, NULL, NULL);
}
