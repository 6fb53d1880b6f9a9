/* tests/unit/yaml/cursor_test.c - YAML events with aliases and merge keys resolved */
#include "yaml/cursor.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"

/* The events of a document, one word each: "{ a 1 }". */
static enum err events(const char *text, char *out, size_t room, struct diag *why)
{
    struct yaml_cursor *c = yaml_cursor_create("f", str_of(text), why);
    static const char *const marks[] = {
        [YAML_LIST] = "[", [YAML_LIST_END] = "]", [YAML_MAP] = "{", [YAML_MAP_END] = "}"
    };
    size_t used = 0;
    enum err e;

    out[0] = '\0';
    while (!(e = yaml_next(c)) && yaml_at(c)->kind != YAML_END) {
        const struct yaml_event *at = yaml_at(c);
        struct str word = at->null                ? STR("~")
                          : at->kind == YAML_TEXT ? at->text
                                                  : str_of(marks[at->kind]);
        used += (size_t)snprintf(out + used, room - used, "%s%s%.*s", used ? " " : "",
                                 at->merged ? "+" : "", STR_ARG(word));
        assert_true(used < room);
    }
    yaml_cursor_destroy(c);
    return e;
}

static void resolves_aliases_and_merge_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *events;
    } cases[] = {
        { "", "" },
        { "---\n...\n", "~" },
        { "a: 1\n---\nb: 2\n", "{ a 1 }" },
        { "{a: &x 1, b: *x, c: [*x, *x]}", "{ a 1 b 1 c [ 1 1 ] }" },
        { "{a: &x [1, {b: &y c}], d: *x, e: *y}",
          "{ a [ 1 { b c } ] d [ 1 { b c } ] e c }" },
        { "{a: &x 1, b: &y [*x, *x], c: *y}", "{ a 1 b [ 1 1 ] c [ 1 1 ] }" },
        { "{a: &x 1, b: &x 2, c: *x}", "{ a 1 b 2 c 2 }" },
        { "{a: &x {}, b: *x, c: d}", "{ a { } b { } c d }" },
        { "&x a: b\n*x : c", "{ a b a c }" },
        { "{a: &x {b: 1, c: 2}, d: {<<: *x, c: 3}}",
          "{ a { b 1 c 2 } d { +b 1 +c 2 c 3 } }" },
        { "{<<: {b: 1, c: {d: e}}, f: g}", "{ +b 1 +c { d e } f g }" },
        { "{<<: [{a: 1}, {a: 2}], b: 3}", "{ +a 2 +a 1 b 3 }" },
        { "{<<: {<<: {a: 1}, b: 2}}", "{ +a 1 +b 2 }" },
        { "{x: &x {<<: {a: 1}, b: 2}, y: {<<: *x}}",
          "{ x { +a 1 b 2 } y { +a 1 +b 2 } }" },
        { "{x: &x [{a: 1}, {b: 2}], y: {<<: *x, c: 3}}",
          "{ x [ { a 1 } { b 2 } ] y { +b 2 +a 1 c 3 } }" },
        { "{x: &x {a: 1}, y: {<<: [*x, *x]}}", "{ x { a 1 } y { +a 1 +a 1 } }" },
        { "{'<<': {a: 1}}", "{ << { a 1 } }" },
        { "[<<, a]", "[ << a ]" },
        { "{a: <<}", "{ a << }" },
        { "&r {a: &s {b: 1}, c: *s}", "{ a { b 1 } c { b 1 } }" },
        { "[~, null, !!null x, '', '~', !!str null]", "[ ~ ~ ~  ~ null ]" },
        { "[!!binary YWJj, &b !!binary ZA==, *b]", "[ abc d d ]" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { "" };
        char out[256];
        if (events(cases[i].text, out, sizeof(out), &why))
            fail_msg("%s: %s", cases[i].text, why.text);
        assert_string_equal(out, cases[i].events);
    }
}

static void the_line_of_an_unresolvable_alias_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "a: 1\nb: *x", "f:2: no anchor &x before this alias *x" },
        { "a: &x\n- *x", "f:2: the alias *x is inside its anchor &x" },
        { "a: &x\n  b: &y [*x]", "f:2: the alias *x is inside its anchor &x" },
        { "a: 1\n<<: text", "f:2: << takes a mapping or a list of them" },
        { "a: 1\n<<: [{}, text]", "f:2: << takes a mapping or a list of them" },
        { "a: &x 1\n<<: *x", "f:2: << takes a mapping or a list of them" },
        { "a: 1\nb: !!binary '*'", "f:2: !!binary is not base64" },
        { "a: 1\nb: \"\xff\"", "f:2: invalid leading UTF-8 octet" },
        { "a: 1\nb: \x01", "f:2: control characters are not allowed" },
        { "a: [\n", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { "" };
        char out[256];
        assert_int_equal(events(cases[i].text, out, sizeof(out), &why), ERR_CONFIG);
        if (cases[i].why)
            assert_string_equal(why.text, cases[i].why);
    }
}

static enum err count_events(struct str text, size_t *ret, struct diag *why)
{
    struct yaml_cursor *c = yaml_cursor_create("f", text, why);
    enum err e;

    for (*ret = 0; !(e = yaml_next(c)) && yaml_at(c)->kind != YAML_END;)
        ++*ret;
    yaml_cursor_destroy(c);
    return e;
}

/* Ten lines, each with nine aliases of the one before: 3,486,784,401 texts. */
static void refuses_aliases_that_multiply(void **state)
{
    (void)state;
    char text[2048];
    struct diag why = { "" };
    size_t count, used = (size_t)snprintf(text, sizeof(text), "a0: &a0 lol\n");

    for (int i = 1; i <= 10; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s*a%d",
                                     k ? ", " : "", i - 1);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "]\n");
    }
    assert_int_equal(count_events((struct str){ text, used }, &count, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "its aliases (*) add too much"));
    assert_true(count <= YAML_EXPANDED_MAX + 100);
}

/* Empty mappings add no events, but cost time. */
static void refuses_merges_of_nothing_that_multiply(void **state)
{
    (void)state;
    size_t room = 8u << 20, used = 0, count;
    AUTO_FREE char *text = xmalloc(room);
    struct diag why = { "" };

    used += (size_t)snprintf(text, room, "a: &a {}\n<<: [*a");
    for (int i = 0; i < 1000000; i++)
        used += (size_t)snprintf(text + used, room - used, ",*a");
    used += (size_t)snprintf(text + used, room - used, "]\n");
    assert_int_equal(count_events((struct str){ text, used }, &count, &why), ERR_LIMIT);
}

static void bounds_nesting(void **state)
{
    (void)state;
    char text[2 * YAML_DEPTH_MAX + 3];
    struct diag why = { "" };
    size_t count, deep = YAML_DEPTH_MAX;

    memset(text, '[', deep);
    memset(text + deep, ']', deep);
    assert_int_equal(count_events((struct str){ text, 2 * deep }, &count, &why), OK);
    assert_int_equal(count, 2 * deep);
    memset(text, '[', ++deep);
    memset(text + deep, ']', deep);
    assert_int_equal(count_events((struct str){ text, 2 * deep }, &count, &why),
                     ERR_CONFIG);
    assert_string_equal(why.text, "f:1: nested more than 200 deep");
}

static void skips_a_value_of_any_shape(void **state)
{
    (void)state;
    static const char *const values[] = {
        "x", "", "[]", "{}", "[a, {b: c}]", "{a: [b]}"
    };

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        AUTO_FREE char *text = xasprintf("[%s, last]", values[i][0] ? values[i] : "''");
        struct diag why;
        struct yaml_cursor *c = yaml_cursor_create("f", str_of(text), &why);
        assert_int_equal(yaml_next(c), OK);
        assert_int_equal(yaml_next(c), OK);
        assert_int_equal(yaml_skip(c), OK);
        assert_int_equal(yaml_next(c), OK);
        assert_true(str_eq(yaml_at(c)->text, STR("last")));
        yaml_cursor_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_aliases_and_merge_keys),
        cmocka_unit_test(the_line_of_an_unresolvable_alias_is_named),
        cmocka_unit_test(refuses_aliases_that_multiply),
        cmocka_unit_test(refuses_merges_of_nothing_that_multiply),
        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(skips_a_value_of_any_shape),
    };
    return cmocka_run_group_tests_name("yaml/cursor", tests, NULL, NULL);
}
