/* tests/unit/addresses/table_test.c - which key gets which address */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "addresses/table.h"
#include "base/own.h"

#define SEED 12345
#define MANY 60000

static struct address_table table;

static int begin(void **state)
{
    (void)state;
    address_table_init(&table, SEED);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    address_table_finish(&table);
    return 0;
}

static struct address_entry *assign(struct address_table *t, const char *context,
                                    const char *ns, const char *service, const char *pod)
{
    const struct key_parts key = { str_of(context), str_of(ns), str_of(service),
                                   str_of(pod) };
    struct address_entry *e = NULL;

    assert_int_equal(address_table_assign(t, &key, &e), OK);
    return e;
}

static struct address_entry *assign_number(struct address_table *t, unsigned n)
{
    char name[32];

    snprintf(name, sizeof(name), "web-%u", n);
    return assign(t, "test", "shop", name, "");
}

static void equal_keys_have_one_address_and_others_their_own(void **state)
{
    (void)state;
    const struct address_entry *web = assign(&table, "test", "shop", "web", "");

    assert_ptr_equal(assign(&table, "test", "shop", "web", ""), web);
    assert_int_not_equal(assign(&table, "prod", "shop", "web", "")->address,
                         web->address);
    assert_int_not_equal(assign(&table, "test", "web", "shop", "")->address,
                         web->address);
    assert_int_not_equal(assign(&table, "test", "shop", "web", "web-0")->address,
                         web->address);
    assert_int_not_equal(assign(&table, "test", "shop", "", "web")->address,
                         web->address);
    assert_ptr_equal(address_table_at(&table, web->address), web);
    assert_null(address_table_at(&table, 0x7f000001));
    const struct key_parts zeroed = { .context = STR("test"),
                                      .ns = STR("shop"),
                                      .service = STR("web") };
    assert_ptr_equal(address_table_find(&table, &zeroed), web);
}

static void an_address_depends_on_seed_and_key_only(void **state)
{
    (void)state;
    struct address_table other, again;

    address_table_init(&other, SEED + 1);
    address_table_init(&again, SEED);
    assign(&again, "test", "shop", "first", "");
    uint32_t here = assign(&table, "test", "shop", "web", "")->address;
    assert_int_equal(assign(&again, "test", "shop", "web", "")->address, here);
    assert_int_not_equal(assign(&other, "test", "shop", "web", "")->address, here);
    address_table_finish(&other);
    address_table_finish(&again);
}

static void reserved_addresses_are_never_given(void **state)
{
    (void)state;
    static const uint32_t never[] = { 0x7f000000, 0x7f000001, 0x7f00000b, 0x7f000035,
                                      0x7f000036, 0x7f000101, 0x7f00ffff, 0x7f010000,
                                      0x7f0100ff, 0x7fff0001, 0x7ffffffe, 0x7fffffff,
                                      0x7effffff, 0x80000001, 0x0a000001 };

    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_false(address_table_may_give(never[i]));
    assert_true(address_table_may_give(0x7f010001));
    assert_true(address_table_may_give(0x7ffefffe));
}

/* The keys of the table spread over all that may be given: none outside it, each once. */
static void sixty_thousand_keys_have_addresses_of_their_own(void **state)
{
    (void)state;
    bool low = false, high = false;

    for (unsigned i = 0; i < MANY; i++) {
        const struct address_entry *e = assign_number(&table, i);
        assert_true(address_table_may_give(e->address));
        assert_ptr_equal(address_table_at(&table, e->address), e);
        low |= e->address >> 16 == 0x7f01;
        high |= e->address >> 16 == 0x7ffe;
    }
    assert_int_equal(table.count, MANY);
    assert_true(low && high);
    /* MANY^2 / 2 pairs over 16.5 million addresses: about 109 collisions */
    assert_in_range(table.kept, 120, 330);
}

/* Returns the two keys' numbers. */
static void collide(unsigned *first, unsigned *second)
{
    unsigned i = 0;

    while (!table.kept)
        assign_number(&table, i++);
    *second = i - 1;
    for (i = 0; !assign_number(&table, i)->kept; i++)
        ;
    *first = i;
}

static void both_keys_of_a_collision_are_kept(void **state)
{
    (void)state;
    unsigned first, second;

    collide(&first, &second);
    assert_int_equal(table.kept, 2);
    assert_true(table.changed);
    assert_true(assign_number(&table, second)->kept);
    struct address_table alone;
    address_table_init(&alone, SEED);
    assert_int_equal(assign_number(&alone, second)->address,
                     assign_number(&table, first)->address);
    address_table_finish(&alone);
}

static void a_kept_key_has_its_address_whichever_comes_first(void **state)
{
    (void)state;
    unsigned first, second;
    struct address_table later;

    collide(&first, &second);
    const struct address_entry *one = assign_number(&table, first),
                               *two = assign_number(&table, second);
    const struct key_parts one_key = address_entry_key(one),
                           two_key = address_entry_key(two);
    address_table_init(&later, SEED);
    assert_int_equal(address_table_keep(&later, &one_key, one->address), OK);
    assert_int_equal(address_table_keep(&later, &two_key, two->address), OK);
    assert_false(later.changed);
    assert_int_equal(assign_number(&later, second)->address, two->address);
    assert_int_equal(assign_number(&later, first)->address, one->address);
    assert_false(later.changed);
    address_table_finish(&later);
}

static void an_address_is_not_kept_twice_nor_a_key(void **state)
{
    (void)state;
    const struct key_parts one = { STR("c"), STR("n"), STR("one"), STR("") },
                           two = { STR("c"), STR("n"), STR("two"), STR("") };

    assert_int_equal(address_table_keep(&table, &one, 0x7f020202), OK);
    assert_int_equal(address_table_keep(&table, &two, 0x7f020202), ERR_PROTO);
    assert_int_equal(address_table_keep(&table, &one, 0x7f020203), ERR_PROTO);
    assert_int_equal(address_table_keep(&table, &two, 0x7f000001), ERR_PROTO);
    assert_int_equal(table.kept, 1);
}

static void the_oldest_key_is_forgotten_when_there_are_too_many(void **state)
{
    (void)state;
    struct opened *something = (void *)&table;
    struct address_entry *open = assign_number(&table, 0);
    open->opened = something;
    const struct key_parts kept = { STR("c"), STR("n"), STR("kept"), STR("") };

    assert_int_equal(address_table_keep(&table, &kept, 0x7f020202), OK);
    struct address_entry *stays = assign_number(&table, 1);
    assign_number(&table, 2);
    assign_number(&table, 1);
    for (unsigned i = 3; table.count < ENTRIES_MAX; i++)
        assign_number(&table, i);
    assign_number(&table, ENTRIES_MAX * 2);
    assert_int_equal(table.count, ENTRIES_MAX);
    assert_non_null(address_table_find(&table, &kept));
    const struct key_parts open_key = address_entry_key(open),
                           stays_key = address_entry_key(stays);
    assert_ptr_equal(address_table_find(&table, &open_key), open);
    assert_ptr_equal(address_table_find(&table, &stays_key), stays);
    const struct key_parts gone = { STR("test"), STR("shop"), STR("web-2"), STR("") };
    assert_null(address_table_find(&table, &gone));
    open->opened = NULL;
}

static void a_key_that_is_too_long_or_has_a_zero_byte_is_refused(void **state)
{
    (void)state;
    char name[KEY_TEXT_MAX];
    struct address_entry *e;

    memset(name, 'a', sizeof(name));
    struct key_parts key = { STR("c"), STR("n"), { name, KEY_TEXT_MAX - 6 }, STR("") };
    assert_int_equal(address_table_assign(&table, &key, &e), OK);
    assert_int_equal(address_entry_key(e).service.len, KEY_TEXT_MAX - 6);
    key.service.len++;
    assert_int_equal(address_table_assign(&table, &key, &e), ERR_LIMIT);
    assert_null(address_table_find(&table, &key));
    key.service = (struct str){ "a\0b", 3 };
    assert_int_equal(address_table_assign(&table, &key, &e), ERR_LIMIT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(equal_keys_have_one_address_and_others_their_own),
        TEST(an_address_depends_on_seed_and_key_only),
        TEST(reserved_addresses_are_never_given),
        TEST(sixty_thousand_keys_have_addresses_of_their_own),
        TEST(both_keys_of_a_collision_are_kept),
        TEST(a_kept_key_has_its_address_whichever_comes_first),
        TEST(an_address_is_not_kept_twice_nor_a_key),
        TEST(the_oldest_key_is_forgotten_when_there_are_too_many),
        TEST(a_key_that_is_too_long_or_has_a_zero_byte_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
