/* tests/unit/upstream/missing_test.c - a missing right is logged, once */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "captured_log.h"
#include "upstream/missing.h"

static const struct log_id s1_1 = { 's', 1, 1 };

static struct missing missing;

static int setup(void **state)
{
    (void)state;
    captured_log_begin();
    missing_init(&missing);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    missing_finish(&missing);
    captured_log_end();
    return 0;
}

/* The log lines for a lease that failed because this right is missing. */
static const char *note(const char *ns, const char *verb, const char *resource)
{
    struct lease lease = { .missing_verb = verb, .missing_resource = resource };

    snprintf(lease.missing_ns, sizeof(lease.missing_ns), "%s", ns);
    missing_note(&missing, &lease, s1_1);
    return captured_log();
}

static void the_line_has_the_right_and_the_command_that_grants_it(void **state)
{
    (void)state;
    const char *line = note("shop", "create", "pods/portforward");

    assert_non_null(strstr(line, "WARN  upstream s1.1 a right is missing verb=create "
                                 "resource=pods/portforward namespace=shop "));
    assert_non_null(strstr(line, "kube-tunnel rbac --namespace shop --user NAME"));
    assert_non_null(strstr(line, "role="));
}

static void a_right_is_logged_once_for_each_namespace_verb_and_resource(void **state)
{
    (void)state;
    assert_string_not_equal(note("shop", "get", "services"), "");
    assert_string_equal(note("shop", "get", "services"), "");
    assert_string_not_equal(note("other", "get", "services"), "");
    assert_string_not_equal(note("shop", "list", "services"), "");
    assert_string_not_equal(note("shop", "get", "pods"), "");
    assert_string_equal(note("shop", "get", "pods"), "");
}

static void a_failure_without_a_missing_right_is_not_logged(void **state)
{
    (void)state;
    assert_string_equal(note("shop", NULL, "services"), "");
    assert_string_equal(note("shop", "get", NULL), "");
}

/* At level error meanwhile, so that the limit on warnings of a module is not reached. */
static void after_256_rights_they_are_logged_again(void **state)
{
    (void)state;
    char ns[32];

    log_set_level(LEVEL_ERROR);
    for (int i = 0; i < 256; i++) {
        snprintf(ns, sizeof(ns), "ns-%d", i);
        note(ns, "get", "services");
    }
    log_set_level(LEVEL_INFO);
    assert_string_equal(note("ns-0", "get", "services"), "");
    assert_string_not_equal(note("one-more", "get", "services"), "");
    assert_string_not_equal(note("ns-0", "get", "services"), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_line_has_the_right_and_the_command_that_grants_it),
        TEST(a_right_is_logged_once_for_each_namespace_verb_and_resource),
        TEST(a_failure_without_a_missing_right_is_not_logged),
        TEST(after_256_rights_they_are_logged_again),
    };
    return cmocka_run_group_tests_name("upstream/missing", tests, NULL, NULL);
}
