#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/own.h"
#include "playground/api/watch.h"

/* A watch of the pods with app=web, from now on. */
struct fixture {
    struct store *store;
    struct watch watch;
    struct text out;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct view *v = &f->watch.start.view;

    f->store = store_create();
    *v = (struct view){ .kind = KIND_POD,
                        .ns = xstrdup("shop"),
                        .label_text = xstrdup("app=web"),
                        .field_text = xstrdup("") };
    f->watch.start.revision = store_revision(f->store);
    *state = f;
    return selector_parse(str_of(v->label_text), &v->labels) ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    view_finish(&f->watch.start.view);
    store_destroy(f->store);
    text_finish(&f->out);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *ns, const char *name, const char *app)
{
    store_put(f->store, KIND_POD,
              json_pack("{s:{s:s, s:s, s:{s:s}}}", "metadata", "name", name, "namespace",
                        ns, "labels", "app", app));
}

/* The types of the events since the last call: "ADDED MODIFIED ". */
static const char *written(struct fixture *f)
{
    static char types[256];
    struct str left;
    struct str line;

    text_clear(&f->out);
    watch_write(&f->watch, f->store, &f->out, SIZE_MAX);
    types[0] = '\0';
    for (left = text_str(&f->out); !str_empty(left);) {
        left = str_cut(left, '\n', &line);
        json_t *event = json_loadb(line.at, line.len, 0, NULL);
        const char *type = json_string_value(json_object_get(event, "type"));
        assert_non_null(type);
        size_t n = strlen(types);
        snprintf(types + n, sizeof(types) - n, "%s ", type);
        json_decref(event);
    }
    return types;
}

static void a_watch_returns_only_objects_of_its_view(void **state)
{
    struct fixture *f = *state;
    put(f, "shop", "a", "web");
    put(f, "shop", "b", "db");
    put(f, "other", "c", "web");
    assert_string_equal(written(f), "ADDED ");
    assert_string_equal(written(f), "");
}

static void leaving_the_selector_is_a_deletion(void **state)
{
    struct fixture *f = *state;
    put(f, "shop", "a", "web");
    put(f, "shop", "a", "web");
    put(f, "shop", "a", "db");
    put(f, "shop", "a", "cache");
    put(f, "shop", "a", "web");
    store_delete(f->store, KIND_POD, "shop", "a");
    assert_string_equal(written(f), "ADDED MODIFIED DELETED ADDED DELETED ");
}

static void a_lost_revision_is_an_error_once(void **state)
{
    struct fixture *f = *state;
    put(f, "shop", "a", "web");
    store_forget(f->store);
    assert_string_equal(written(f), "ERROR ");
    assert_true(f->watch.over);
    assert_string_equal(written(f), "");
}

static void initial_events_come_first_when_requested(void **state)
{
    struct fixture *f = *state;
    put(f, "shop", "a", "web");
    put(f, "shop", "b", "web");
    f->watch.start.revision = store_revision(f->store);
    f->watch.start.initial = f->watch.start.initial_end = true;
    assert_string_equal(written(f), "ADDED ADDED BOOKMARK ");
    put(f, "shop", "b", "web");
    assert_string_equal(written(f), "MODIFIED ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watch_returns_only_objects_of_its_view, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(leaving_the_selector_is_a_deletion, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_lost_revision_is_an_error_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(initial_events_come_first_when_requested, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("playground/watch", tests, NULL, NULL);
}
