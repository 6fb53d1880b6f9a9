/* tests/unit/base/map_test.c - the map, compared with a plain array */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"
#include "base/own.h"

#define KEYS 300

static int values[KEYS];

static struct str key_of(size_t i, char room[static 16])
{
    return (struct str){ room, (size_t)snprintf(room, 16, "key-%zu", i) };
}

static void an_empty_map_finds_no_key(void **state)
{
    (void)state;
    struct map m;
    size_t at = 0;

    map_init(&m);
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_null(map_next(&m, &at));
    map_finish(&m);
    map_finish(&m);
}

static void a_known_hash_finds_the_same_value(void **state)
{
    (void)state;
    struct map m;

    map_init(&m);
    assert_null(map_get_hashed(&m, STR("a"), map_hash(STR("a"))));
    map_set(&m, STR("a"), &values[1]);
    assert_ptr_equal(map_get_hashed(&m, STR("a"), map_hash(STR("a"))), &values[1]);
    assert_null(map_get_hashed(&m, STR("b"), map_hash(STR("b"))));
    map_finish(&m);
}

static void set_returns_the_previous_value(void **state)
{
    (void)state;
    struct map m;

    map_init(&m);
    assert_null(map_set(&m, STR("a"), &values[0]));
    assert_ptr_equal(map_set(&m, STR("a"), &values[1]), &values[0]);
    assert_ptr_equal(map_get(&m, STR("a")), &values[1]);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_remove(&m, STR("a")), &values[1]);
    assert_null(map_get(&m, STR("a")));
    assert_int_equal(m.count, 0);
    map_finish(&m);
}

static void keys_are_copied_and_may_hold_any_byte(void **state)
{
    (void)state;
    struct map m;
    char key[] = { 'a', '\0', 'b' };

    map_init(&m);
    map_set(&m, (struct str){ key, 3 }, &values[0]);
    map_set(&m, (struct str){ key, 0 }, &values[1]);
    key[2] = 'c';
    assert_ptr_equal(map_get(&m, STR("a\0b")), &values[0]);
    assert_null(map_get(&m, STR("a\0c")));
    assert_null(map_get(&m, STR("a")));
    assert_ptr_equal(map_get(&m, STR("")), &values[1]);
    map_finish(&m);
}

static void growing_keeps_every_entry(void **state)
{
    (void)state;
    struct map m;
    char room[16];

    map_init(&m);
    for (size_t i = 0; i < KEYS; i++) {
        map_set(&m, key_of(i, room), &values[i]);
        for (size_t j = 0; j <= i; j++)
            assert_ptr_equal(map_get(&m, key_of(j, room)), &values[j]);
    }
    assert_int_equal(m.count, KEYS);
    assert_true(m.count <= m.capacity / 4 * 3);
    map_finish(&m);
}

static void iteration_visits_every_entry_once(void **state)
{
    (void)state;
    struct map m;
    char room[16];
    unsigned seen[KEYS] = { 0 };

    map_init(&m);
    for (size_t i = 0; i < KEYS; i++)
        map_set(&m, key_of(i, room), &values[i]);
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(&m, &at));)
        seen[(int *)e->value - values]++;
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);
    map_finish(&m);
}

/* As map.h allows: the iteration removes the entry it stands on, and misses none. */
static void iteration_may_remove_the_current_entry(void **state)
{
    (void)state;

    for (size_t keep = 1; keep < 5; keep++) {
        struct map m;
        char room[16];
        unsigned seen[KEYS] = { 0 };

        map_init(&m);
        for (size_t i = 0; i < KEYS; i++)
            map_set(&m, key_of(i, room), &values[i]);
        struct map_entry *e;
        for (size_t at = 0; (e = map_next(&m, &at));) {
            size_t i = (size_t)((int *)e->value - values);
            seen[i]++;
            if (i % keep == 0)
                map_remove(&m, key_of(i, room));
        }
        for (size_t i = 0; i < KEYS; i++) {
            assert_true(seen[i] >= 1);
            assert_int_equal(!map_get(&m, key_of(i, room)), i % keep == 0);
        }
        map_finish(&m);
    }
}

/* A fixed walk of insertions and removals; after each the map and the array agree. */
static void random_changes_agree_with_an_array(void **state)
{
    (void)state;
    struct map m;
    char room[16];
    int *expected[64] = { NULL };
    uint64_t random = 1;

    map_init(&m);
    for (size_t turn = 0; turn < 5000; turn++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        size_t i = (random >> 33) % ARRAY_LEN(expected);
        int *value = (random >> 60) % 2 ? &values[turn % KEYS] : NULL;
        struct str key = key_of(i, room);
        void *old = value ? map_set(&m, key, value) : map_remove(&m, key);

        assert_ptr_equal(old, expected[i]);
        expected[i] = value;
        size_t count = 0;
        for (size_t j = 0; j < ARRAY_LEN(expected); j++) {
            assert_ptr_equal(map_get(&m, key_of(j, room)), expected[j]);
            count += expected[j] != NULL;
        }
        assert_int_equal(m.count, count);
    }
    map_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_finds_no_key),
        cmocka_unit_test(a_known_hash_finds_the_same_value),
        cmocka_unit_test(set_returns_the_previous_value),
        cmocka_unit_test(keys_are_copied_and_may_hold_any_byte),
        cmocka_unit_test(growing_keeps_every_entry),
        cmocka_unit_test(iteration_visits_every_entry_once),
        cmocka_unit_test(iteration_may_remove_the_current_entry),
        cmocka_unit_test(random_changes_agree_with_an_array),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
