/* tests/unit/yaml/edit_test.c - texts are replaced, and all other bytes are kept */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "yaml/edit.h"

static const struct yaml_step steps[] = { { "users", "u" },
                                          { "user", NULL },
                                          { "config", NULL } };
static const struct yaml_edit edits[] = { { "id", "new1" }, { "refresh", "new2" } };

static enum err edit(const char *text, char **ret, struct diag *why)
{
    return yaml_edit(str_of(text), steps, ARRAY_LEN(steps), edits, ARRAY_LEN(edits), ret,
                     why);
}

static void an_edit_changes_only_the_values(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        /* clang-format off */
        { "# c\nusers:\n- name: t\n  user: {config: {id: x}}\n- name: u # u\n  user:\n    config:\n      id: old\n      z: 1 # z\n      refresh: 'o'\n",
          "# c\nusers:\n- name: t\n  user: {config: {id: x}}\n- name: u # u\n  user:\n    config:\n      id: \"new1\"\n      z: 1 # z\n      refresh: \"new2\"\n" },
        { "{\"users\":[{\"name\":\"u\",\"user\":{\"config\":{\"id\":\"a\",\"refresh\":\"b\"}}}]}",
          "{\"users\":[{\"name\":\"u\",\"user\":{\"config\":{\"id\":\"new1\",\"refresh\":\"new2\"}}}]}" },
        { "users: [{name: u, user: {config: {k: v}}}]\n",
          "users: [{name: u, user: {config: {\"id\": \"new1\", \"refresh\": \"new2\", k: v}}}]\n" },
        { "users:\n  - user:\n      config:\n        k: v\n    name: u\n",
          "users:\n  - user:\n      config:\n        id: \"new1\"\n        refresh: \"new2\"\n        k: v\n    name: u\n" },
        { "# \xc3\xa4\xe2\x82\xac\nusers: [{name: u, user: {config: {id: \xc3\xa4, refresh: \"\xe2\x82\xac\"}}}]",
          "# \xc3\xa4\xe2\x82\xac\nusers: [{name: u, user: {config: {id: \"new1\", refresh: \"new2\"}}}]" },
        { "\xef\xbb\xbfusers: [{name: u, user: {config: {id: a, refresh: b}}}]",
          "\xef\xbb\xbfusers: [{name: u, user: {config: {id: \"new1\", refresh: \"new2\"}}}]" },
        { "users:\n- name: u\n  user:\n    config:\n      id: |\n        a\n        b\n      refresh: >-\n        c\n      z: 1\n",
          "users:\n- name: u\n  user:\n    config:\n      id: \"new1\"\n      refresh: \"new2\"\n      z: 1\n" },
        { "users:\n- name: u\n  user:\n    config:\n      id:\n      refresh: ~\n",
          "users:\n- name: u\n  user:\n    config:\n      id: \"new1\"\n      refresh: \"new2\"\n" },
        { "users:\r\n- name: u\r\n  user:\r\n    config:\r\n      id: a\r\n      refresh: b\r\n",
          "users:\r\n- name: u\r\n  user:\r\n    config:\r\n      id: \"new1\"\r\n      refresh: \"new2\"\r\n" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *after = NULL;
        struct diag why = { "" };
        if (edit(cases[i].before, &after, &why))
            fail_msg("case %zu: %s", i, why.text);
        assert_string_equal(after, cases[i].after);
    }
}

static void values_that_cannot_be_replaced_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "users: []",
        "users: {name: u}",
        "[1",
        "users: [{name: v, user: {config: {id: a}}}]",
        "users: [{name: u, user: {config: []}}]",
        "users:\n- name: u\n  user:\n    config:\n      ? k\n      : v\n",
        "users: [{name: u, user: {config: {}}}]",
        "users: [{name: u, user: {config: {id: [a], refresh: b}}}]",
        "x: &a y\nusers: [{name: u, user: {config: {id: &b c, refresh: *b}}}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *after = NULL;
        struct diag why = { "" };
        assert_int_equal(edit(cases[i], &after, &why), ERR_CONFIG);
        assert_true(why.text[0]);
    }
}

static void a_value_that_needs_quoting_is_refused(void **state)
{
    (void)state;
    static const char text[] = "users: [{name: u, user: {config: {id: a}}}]";
    static const char *const values[] = { "a\"b", "a\nb", "a\\", "\xc3\xa4" };

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const struct yaml_edit bad = { "id", values[i] };
        AUTO_FREE char *after = NULL;
        struct diag why = { "" };
        assert_int_equal(
            yaml_edit(str_of(text), steps, ARRAY_LEN(steps), &bad, 1, &after, &why),
            ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_changes_only_the_values),
        cmocka_unit_test(values_that_cannot_be_replaced_are_refused),
        cmocka_unit_test(a_value_that_needs_quoting_is_refused),
    };
    return cmocka_run_group_tests_name("yaml/edit", tests, NULL, NULL);
}
