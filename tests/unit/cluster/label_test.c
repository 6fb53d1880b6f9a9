/* tests/unit/cluster/label_test.c - the label that a context's name becomes */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/label.h"

#include "base/own.h"

static void a_name_becomes_a_label_by_the_rule(void **state)
{
    (void)state;
    static const struct {
        const char *context, *label;
    } cases[] = {
        /* clang-format off */
        { "prod", "prod" },
        { "kind-dev", "kind-dev" },
        { "Prod", "prod" },
        { "arn:aws:eks:eu-west-1:1234:cluster/prod", "prod" },
        { "arn:aws-cn:eks:cn-north-1:1234:cluster/Blue_Green", "blue-green" },
        { "arn:aws:eks:eu-west-1:1234:prod", "prod" },
        { "arn:aws:eks:eu-west-1:1234:cluster/", "arn-aws-eks-eu-west-1-1234-cluster" },
        { "gke_proj_europe-west1-b_name", "name" },
        { "gke_my-project_europe-west1_prod-eu", "prod-eu" },
        { "gke_", "gke" },
        { "admin@prod.eu-west-1.eksctl.io", "admin-prod-eu-west-1-eksctl-io" },
        { "default/api-crc-testing:6443/kubeadmin", "default-api-crc-testing-6443-kubeadmin" },
        { "a b__c", "a-b-c" },
        { "a--b", "a--b" },
        { "-a-", "a" },
        { "***", "context" },
        { "", "context" },
        { "\xc3\xbcn\xc3\xaf", "n" },
        { "svc", "svc" },
        { "0123456789012345678901234567890123456789012345678901234567890123456789",
          "012345678901234567890123456789012345678901234567890123456789012" },
        { "01234567890123456789012345678901234567890123456789012345678901-3456789",
          "01234567890123456789012345678901234567890123456789012345678901" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char label[LABEL_ROOM];
        label_of_context(str_of(cases[i].context), label);
        if (strcmp(label, cases[i].label) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].context, label, cases[i].label);
    }
}

static void a_numbered_label_is_cut_to_63_bytes(void **state)
{
    (void)state;
    char label[LABEL_ROOM];
    char longest[LABEL_ROOM];

    label_with_number("prod", 2, label);
    assert_string_equal(label, "prod-2");
    memset(longest, 'a', 63);
    longest[63] = '\0';
    longest[60] = '-';
    label_with_number(longest, 10, label);
    assert_int_equal(strlen(label), 63);
    assert_string_equal(label + 60, "-10");
    label_with_number(longest, 2, label); /* no "--" where it was cut */
    assert_string_equal(label + 59, "a-2");
    label_with_number(longest, 2, longest); /* in place */
    assert_string_equal(longest, label);
}

static void labels_with_another_meaning_are_reserved(void **state)
{
    (void)state;
    static const char *const reserved[] = { "svc",       "pod", "deploy",
                                            "localhost", "k8s", "local" };

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        assert_true(label_is_reserved(str_of(reserved[i]), STR("cluster.local")));
    assert_true(label_is_reserved(STR("example"), STR("corp.example.")));
    assert_true(label_is_reserved(STR("internal"), STR("internal")));
    assert_false(label_is_reserved(STR("local"), STR("corp.example")));
    assert_false(label_is_reserved(STR("prod"), STR("cluster.local")));
    assert_false(label_is_reserved(STR("cluster"), STR("cluster.local")));
}

/* Whatever the name: a label of DNS, 1 to 63 of a-z, 0-9 and "-", none at the ends. */
static void every_name_becomes_a_label(void **state)
{
    (void)state;
    uint32_t random = 1;

    for (int round = 0; round < 20000; round++) {
        char name[100], label[LABEL_ROOM];
        random = random * 1664525u + 1013904223u;
        size_t len = (random >> 8) % sizeof(name);
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525u + 1013904223u;
            name[i] = (random >> 30) ? (char)(random >> 16) : '-';
        }
        label_of_context((struct str){ name, len }, label);
        for (int again = 0; again < 2; again++) {
            size_t n = strlen(label);
            assert_in_range(n, 1, 63);
            assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-"), n);
            assert_true(label[0] != '-' && label[n - 1] != '-');
            label_with_number(label, (random >> 8) % 70000, label);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_becomes_a_label_by_the_rule),
        cmocka_unit_test(a_numbered_label_is_cut_to_63_bytes),
        cmocka_unit_test(labels_with_another_meaning_are_reserved),
        cmocka_unit_test(every_name_becomes_a_label),
    };
    return cmocka_run_group_tests_name("cluster/label", tests, NULL, NULL);
}
