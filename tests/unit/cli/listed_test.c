/* tests/unit/cli/listed_test.c - what `list` prints */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "cli/listed.h"

static void add(struct listed *l, const char *cluster, const char *ns, const char *name)
{
    struct listed_service s = {
        .cluster = xstrdup_or_null(cluster),
        .ns = xstrdup(ns),
        .name = xstrdup(name),
        .ports = xcalloc(1, sizeof(struct listed_port)),
        .port_count = 1,
    };

    s.ports[0].name = xstrdup("http");
    listed_add(l, &s);
}

/* A list that had to be read again from its beginning has objects twice. */
static void service_that_came_twice_is_listed_once(void **state)
{
    struct listed l = { 0 };

    (void)state;
    add(&l, NULL, "shop", "web");
    add(&l, NULL, "shop", "db");
    add(&l, NULL, "other", "web");
    add(&l, NULL, "shop", "web");
    listed_sort(&l);
    assert_int_equal(l.count, 3);
    assert_string_equal(l.at[0].ns, "other");
    assert_string_equal(l.at[1].name, "db");
    assert_string_equal(l.at[2].name, "web");
    listed_finish(&l);
}

static void same_service_of_two_clusters_is_listed_twice(void **state)
{
    struct listed l = { .several = true };

    (void)state;
    add(&l, "b", "shop", "web");
    add(&l, "a", "shop", "web");
    listed_sort(&l);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.at[0].cluster, "a");
    listed_finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_that_came_twice_is_listed_once),
        cmocka_unit_test(same_service_of_two_clusters_is_listed_twice),
    };
    return cmocka_run_group_tests_name("cli/listed", tests, NULL, NULL);
}
