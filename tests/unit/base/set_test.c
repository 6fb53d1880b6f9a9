/* tests/unit/base/set_test.c - the set, compared with a plain array */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/set.h"

#define ELEMENTS 300

struct element {
    char key[16];
    bool there;
};

static struct element elements[ELEMENTS];

static struct str key_of(const void *element)
{
    const struct element *e = element;

    return str_of(e->key);
}

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS; i++) {
        elements[i] = (struct element){ .there = false };
        snprintf(elements[i].key, sizeof(elements[i].key), "key-%zu", i);
    }
    return 0;
}

static void an_empty_set_finds_no_key(void **state)
{
    (void)state;
    struct set s;
    size_t at = 0;

    set_init(&s, key_of);
    assert_null(set_get(&s, STR("a")));
    assert_null(set_remove(&s, STR("a")));
    assert_null(set_next(&s, &at));
    set_finish(&s);
    set_add(&s, &elements[0]);
    assert_ptr_equal(set_get(&s, STR("key-0")), &elements[0]);
    set_finish(&s);
    assert_null(set_get(&s, STR("key-0")));
}

static void check(const struct set *s)
{
    size_t count = 0, seen = 0, at = 0;

    for (size_t i = 0; i < ELEMENTS; i++) {
        struct element *e = &elements[i];
        assert_ptr_equal(set_get(s, str_of(e->key)), e->there ? e : NULL);
        count += e->there;
    }
    assert_int_equal(s->count, count);
    for (const struct element *e; (e = set_next(s, &at));) {
        assert_true(e->there);
        seen++;
    }
    assert_int_equal(seen, count);
}

static void it_has_what_was_added_and_not_removed(void **state)
{
    (void)state;
    struct set s;
    uint32_t random = 1;

    set_init(&s, key_of);
    for (size_t step = 0; step < 4000; step++) {
        random = random * 1103515245 + 12345;
        struct element *e = &elements[(random >> 8) % ELEMENTS];
        if (e->there)
            assert_ptr_equal(set_remove(&s, str_of(e->key)), e);
        else
            set_add(&s, e);
        e->there = !e->there;
        if (step % 50 == 0)
            check(&s);
    }
    check(&s);
    assert_true(s.capacity <= 1024); /* removed ones do not make it grow */
    set_finish(&s);
}

static void an_iteration_may_remove_its_element(void **state)
{
    (void)state;
    struct set s;
    size_t at = 0, odd = 0;

    set_init(&s, key_of);
    for (size_t i = 0; i < ELEMENTS; i++) {
        set_add(&s, &elements[i]);
        elements[i].there = i % 2 == 0;
    }
    for (const struct element *e; (e = set_next(&s, &at));)
        if (!e->there) {
            assert_ptr_equal(set_remove(&s, str_of(e->key)), e);
            odd++;
        }
    assert_int_equal(odd, ELEMENTS / 2);
    check(&s);
    set_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_set_finds_no_key, begin),
        cmocka_unit_test_setup(it_has_what_was_added_and_not_removed, begin),
        cmocka_unit_test_setup(an_iteration_may_remove_its_element, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
