#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "playground/api/object.h"
#include "playground/api/store.h"

static int setup(void **state)
{
    *state = store_create();
    return 0;
}

static int teardown(void **state)
{
    store_destroy(*state);
    return 0;
}

static void put(struct store *s, const char *ns, const char *name)
{
    store_put(s, KIND_POD,
              json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", "Pod",
                        "metadata", "name", name, "namespace", ns));
}

static void keeps_objects_in_order(void **state)
{
    struct store *s = *state;
    put(s, "b", "z");
    put(s, "a", "y");
    put(s, "b", "x");
    put(s, "a", "w");
    static const char *const order[] = { "w", "y", "x", "z" };
    assert_int_equal(store_count(s, KIND_POD), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(object_name(store_at(s, KIND_POD, i)), order[i]);
    assert_non_null(store_get(s, KIND_POD, "b", "x"));
    assert_null(store_get(s, KIND_POD, "a", "x"));
    assert_null(store_get(s, KIND_SERVICE, "b", "x"));
}

static void every_change_is_a_revision_and_an_event(void **state)
{
    struct store *s = *state;
    uint64_t before = store_revision(s);

    put(s, "a", "x");
    put(s, "a", "x");
    assert_true(store_delete(s, KIND_POD, "a", "x"));
    assert_false(store_delete(s, KIND_POD, "a", "x"));
    assert_int_equal(store_revision(s), before + 3);
    static const enum event_type types[] = { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };
    for (size_t i = 0; i < 3; i++) {
        const struct event *e = store_event_after(s, before + i);
        assert_int_equal(e->type, types[i]);
        assert_int_equal(object_revision(e->object), before + i + 1);
    }
    assert_null(store_event_after(s, before + 3));
}

static void an_object_keeps_its_uid_until_it_is_deleted(void **state)
{
    struct store *s = *state;
    put(s, "a", "x");
    AUTO_FREE char *uid = xstrdup(object_uid(store_get(s, KIND_POD, "a", "x")));
    assert_int_equal(strlen(uid), 36);
    put(s, "a", "x");
    assert_string_equal(object_uid(store_get(s, KIND_POD, "a", "x")), uid);
    store_delete(s, KIND_POD, "a", "x");
    put(s, "a", "x");
    assert_string_not_equal(object_uid(store_get(s, KIND_POD, "a", "x")), uid);
}

static void history_is_bounded(void **state)
{
    struct store *s = *state;
    uint64_t start = store_revision(s);
    assert_int_equal(store_oldest(s), start);
    for (int i = 0; i < 5000; i++)
        put(s, "a", "x");
    assert_true(store_oldest(s) > start);
    assert_true(store_oldest(s) < store_revision(s));
    assert_non_null(store_event_after(s, store_oldest(s)));
    store_forget(s);
    assert_int_equal(store_oldest(s), store_revision(s));
    put(s, "a", "x");
    assert_non_null(store_event_after(s, store_oldest(s)));
}

static void manifests_are_loaded(void **state)
{
    struct store *s = *state;
    struct diag why = { 0 };
    json_t *list = json_pack("{s:[{s:s, s:s, s:{s:s}}, {s:s, s:s, s:{s:s, s:s}}]}",
                             "items", "apiVersion", "v1", "kind", "Namespace", "metadata",
                             "name", "n", "apiVersion", "v1", "kind", "Service",
                             "metadata", "name", "s", "namespace", "n");
    assert_int_equal(store_apply(s, list, &why), OK);
    assert_non_null(store_get(s, KIND_SERVICE, "n", "s"));
    json_decref(list);

    json_t *odd = json_pack("{s:s, s:s}", "apiVersion", "apps/v1", "kind", "Deployment");
    assert_int_equal(store_apply(s, odd, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "Deployment"));
    json_decref(odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_objects_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(every_change_is_a_revision_and_an_event, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_object_keeps_its_uid_until_it_is_deleted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(history_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(manifests_are_loaded, setup, teardown),
    };
    return cmocka_run_group_tests_name("playground/store", tests, NULL, NULL);
}
