#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/own.h"
#include "playground/api/selector.h"

static json_t *pod(void)
{
    return json_pack("{s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s}}", "metadata", "name", "web-1",
                     "namespace", "shop", "labels", "app", "web", "example.org/tier",
                     "front", "status", "phase", "Running");
}

static bool selects(const char *text)
{
    struct selector s;
    json_t *object = pod();
    assert_int_equal(selector_parse(str_of(text), &s), OK);
    bool matches = selector_matches_labels(&s, object);
    json_decref(object);
    return matches;
}

static void an_empty_selector_selects_everything(void **state)
{
    (void)state;
    assert_true(selects(""));
    assert_true(selects("  "));
}

static void every_requirement_has_to_hold(void **state)
{
    (void)state;
    assert_true(selects("app=web"));
    assert_true(selects("app==web"));
    assert_true(selects("app = web , example.org/tier = front"));
    assert_false(selects("app=web,example.org/tier=back"));
    assert_false(selects("app=we"));
    assert_false(selects("app=webb"));
}

static void sets_and_existence_are_understood(void **state)
{
    (void)state;
    assert_true(selects("app in (db, web)"));
    assert_false(selects("app in (db)"));
    assert_true(selects("app notin (db,cache)"));
    assert_false(selects("app notin (web)"));
    assert_true(selects("app"));
    assert_false(selects("!app"));
    assert_true(selects("!missing"));
    assert_true(selects("app!=db"));
}

/* As in the API, != also selects objects without the label. */
static void a_missing_label_is_not_equal_to_anything(void **state)
{
    (void)state;
    assert_true(selects("missing!=x"));
    assert_true(selects("missing notin (x)"));
    assert_false(selects("missing in (x)"));
    assert_false(selects("missing="));
}

static void refuses_what_is_not_a_selector(void **state)
{
    (void)state;
    static const char *const cases[] = { "=web",       "app=web,,x", "app in db",
                                         "app in (db", "app=web x",  "app in (db) x",
                                         "(",          "," };
    struct selector s;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (selector_parse(str_of(cases[i]), &s) != ERR_PROTO)
            fail_msg("accepted \"%s\"", cases[i]);
}

static void a_selector_has_a_maximal_length(void **state)
{
    (void)state;
    char text[3 * SELECTOR_REQUIREMENTS + 3];
    struct selector s;
    size_t n = 0;

    for (size_t i = 0; i < SELECTOR_REQUIREMENTS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sa", i ? "," : "");
    assert_int_equal(selector_parse((struct str){ text, n }, &s), OK);
    n += (size_t)snprintf(text + n, sizeof(text) - n, ",a");
    assert_int_equal(selector_parse((struct str){ text, n }, &s), ERR_LIMIT);
}

static void field_selectors_are_limited_to_known_fields(void **state)
{
    (void)state;
    struct selector s;
    json_t *object = pod();

    assert_int_equal(selector_parse(STR("metadata.name=web-1"), &s), OK);
    assert_int_equal(selector_check_fields(&s), OK);
    assert_true(selector_matches_fields(&s, object));
    assert_int_equal(selector_parse(STR("status.phase!=Running"), &s), OK);
    assert_int_equal(selector_check_fields(&s), OK);
    assert_false(selector_matches_fields(&s, object));
    assert_int_equal(selector_parse(STR("spec.color=red"), &s), OK);
    assert_int_equal(selector_check_fields(&s), ERR_PROTO);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_selector_selects_everything),
        cmocka_unit_test(every_requirement_has_to_hold),
        cmocka_unit_test(sets_and_existence_are_understood),
        cmocka_unit_test(a_missing_label_is_not_equal_to_anything),
        cmocka_unit_test(refuses_what_is_not_a_selector),
        cmocka_unit_test(a_selector_has_a_maximal_length),
        cmocka_unit_test(field_selectors_are_limited_to_known_fields),
    };
    return cmocka_run_group_tests_name("playground/selector", tests, NULL, NULL);
}
