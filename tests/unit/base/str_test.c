/* tests/unit/base/str_test.c - views, numbers and durations */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/own.h"
#include "base/str.h"
#include "base/utf8.h"

static void assert_str(struct str s, const char *expected)
{
    if (!str_eq(s, str_of(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(s), expected);
}

static void compares_bytes_or_ascii_letters(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abC")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq((struct str){ NULL, 0 }, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_ieq(STR("Host"), STR("hOST")));
    assert_false(str_ieq(STR("Host"), STR("Hos")));
    assert_true(str_ieq((struct str){ NULL, 0 }, STR("")));
}

static void finds_prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts(STR("web.shop"), STR("web.")));
    assert_true(str_starts(STR("web"), STR("web")));
    assert_true(str_starts(STR("web"), STR("")));
    assert_false(str_starts(STR("we"), STR("web")));
    assert_true(str_ends(STR("web.local"), STR(".local")));
    assert_true(str_ends(STR("x"), STR("")));
    assert_false(str_ends(STR("ocal"), STR("local")));
    assert_false(str_ends(STR("web.LOCAL"), STR(".local")));
    assert_true(str_iends(STR("web.LOCAL"), STR(".local")));
}

static void skip_and_take_stop_at_the_end(void **state)
{
    (void)state;
    assert_str(str_skip(STR("abc"), 1), "bc");
    assert_str(str_skip(STR("abc"), 3), "");
    assert_str(str_skip(STR("abc"), 4), "");
    assert_str(str_first(STR("abc"), 2), "ab");
    assert_str(str_first(STR("abc"), 9), "abc");
}

static void trims_blanks_at_both_ends_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \ta b\t ")), "a b");
    assert_str(str_trim(STR(" \t ")), "");
    assert_str(str_trim(STR("a\r\n")), "a\r\n");
    assert_str(str_trim_space(STR("\r\n a\r\n")), "a");
    assert_int_equal(str_trim(STR("\0a\0")).len, 3);
}

static void cuts_at_the_first_or_the_last(void **state)
{
    (void)state;
    struct str head;

    assert_str(str_cut(STR("a.b.c"), '.', &head), "b.c");
    assert_str(head, "a");
    assert_str(str_cut_last(STR("a.b.c"), '.', &head), "c");
    assert_str(head, "a.b");
    assert_str(str_cut(STR(".b"), '.', &head), "b");
    assert_str(head, "");
}

/* "a." has an empty rest, "a" has none: at distinguishes them. */
static void cut_distinguishes_an_empty_rest_from_none(void **state)
{
    (void)state;
    struct str head;

    assert_non_null(str_cut(STR("a."), '.', &head).at);
    assert_null(str_cut(STR("a"), '.', &head).at);
    assert_str(head, "a");
    assert_non_null(str_cut_last(STR("a."), '.', &head).at);
    assert_null(str_cut_last(STR(""), '.', &head).at);
    assert_str(head, "");
    assert_null(str_cut((struct str){ NULL, 0 }, '.', &head).at);
}

static void reads_decimal_numbers_up_to_a_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        enum err expected;
        uint64_t value;
    } cases[] = {
        /* clang-format off */
        { "0",                    0,          OK,        0 },
        { "65535",                65535,      OK,        65535 },
        { "65536",                65535,      ERR_LIMIT, 0 },
        { "0080",                 65535,      OK,        80 },
        { "5",                    4,          ERR_LIMIT, 0 },
        { "18446744073709551615", UINT64_MAX, OK,        UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, ERR_LIMIT, 0 },
        { "99999999999999999999999", UINT64_MAX, ERR_LIMIT, 0 },
        { "",                     9,          ERR_PROTO, 0 },
        { "-1",                   9,          ERR_PROTO, 0 },
        { "+1",                   9,          ERR_PROTO, 0 },
        { " 1",                   9,          ERR_PROTO, 0 },
        { "1 ",                   9,          ERR_PROTO, 0 },
        { "0x1",                  9,          ERR_PROTO, 0 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 77;
        enum err e = str_to_uint(str_of(cases[i].text), cases[i].max, &value);

        if (e != cases[i].expected || value != (e ? 77 : cases[i].value))
            fail_msg("\"%s\": got \"%s\"", cases[i].text, err_text(e));
    }
}

static void reads_durations_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err expected;
        uint64_t ms;
    } cases[] = {
        /* clang-format off */
        { "0",        OK,        0 },
        { "0s",       OK,        0 },
        { "500ms",    OK,        500 },
        { "2s",       OK,        2000 },
        { "10m",      OK,        600000 },
        { "1h30m",    OK,        5400000 },
        { "1m500ms",  OK,        60500 },
        { "8784h",    OK,        366ull * 24 * 3600 * 1000 },
        { "8784h1ms", ERR_LIMIT, 0 },
        { "8785h",    ERR_LIMIT, 0 },
        { "18446744073709551615h", ERR_LIMIT, 0 },
        { "",         ERR_PROTO, 0 },
        { "10",       ERR_PROTO, 0 },
        { "s",        ERR_PROTO, 0 },
        { "1d",       ERR_PROTO, 0 },
        { "1.5s",     ERR_PROTO, 0 },
        { "-1s",      ERR_PROTO, 0 },
        { "1s ",      ERR_PROTO, 0 },
        { "1S",       ERR_PROTO, 0 },
        { "1s5",      ERR_PROTO, 0 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 77;
        enum err e = str_to_duration_ms(str_of(cases[i].text), &ms);

        if (e != cases[i].expected || ms != (e ? 77 : cases[i].ms))
            fail_msg("\"%s\": got \"%s\"", cases[i].text, err_text(e));
    }
}

static void copies_are_terminated(void **state)
{
    (void)state;
    AUTO_FREE char *some = str_dup(str_first(STR("abc"), 2));
    AUTO_FREE char *none = str_dup((struct str){ NULL, 0 });

    assert_string_equal(some, "ab");
    assert_string_equal(none, "");
    assert_int_equal(str_of(NULL).len, 0);
    assert_non_null(str_of(NULL).at);
}

static void appends_no_more_than_fits(void **state)
{
    char room[] = "........";

    (void)state;
    size_t len = str_append(room, 5, 0, STR("abc"));
    assert_int_equal(len, 3);
    assert_int_equal(str_append(room, 5, len, STR("defg")), 5);
    assert_int_equal(str_append(room, 5, 5, STR("h")), 5);
    assert_string_equal(room, "abcde...");
}

static void different_texts_have_different_hashes(void **state)
{
    (void)state;
    assert_true(str_hash(STR("ab")) == str_hash(STR("ab")));
    assert_true(str_hash(STR("ab")) != str_hash(STR("ba")));
    assert_true(str_hash(STR("")) != str_hash(STR("\0")));
    assert_true(str_hash_seeded(STR("ab"), 1) != str_hash_seeded(STR("ab"), 2));
}

/* Hash tables use the low bits, so every byte of a text must affect them. */
static void every_byte_changes_the_low_bits_of_a_hash(void **state)
{
    (void)state;
    for (size_t at = 0; at < 16; at++) {
        bool seen[256] = { false };
        size_t distinct = 0;
        for (int c = 0; c < 256; c++) {
            char text[16] = "namespace/pod-0";
            text[at] = (char)c;
            uint8_t low = (uint8_t)str_hash((struct str){ text, sizeof(text) });
            distinct += !seen[low];
            seen[low] = true;
        }
        assert_in_range(distinct, 120, 200); /* 162 expected of random ones */
    }
}

static void terminal_control_characters_are_replaced(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "web", "web" },
        { "a\x1b[31mb", "a?[31mb" },
        { "bell\x07", "bell?" },
        { "a\rb\nc\td", "a b c d" },
        { "\x7f", "?" },
        { "a\xc2\x9b"
          "31m",
          "a?31m" },
        { "\xc2\x80\xc2\x9f\xc2\xa0", "??\xc2\xa0" },
        { "raw \x9b", "raw ?" },
        { "caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80" },
        { "a\xe2\x80\xae"
          "b\xe2\x81\xa6",
          "a?b?" },
        { "", "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s", cases[i][0]);
        text_make_printable(text, false);
        assert_string_equal(text, cases[i][1]);
    }
    char lines[] = "a\nb\r";
    text_make_printable(lines, true);
    assert_string_equal(lines, "a\nb ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_bytes_or_ascii_letters),
        cmocka_unit_test(finds_prefixes_and_suffixes),
        cmocka_unit_test(skip_and_take_stop_at_the_end),
        cmocka_unit_test(trims_blanks_at_both_ends_only),
        cmocka_unit_test(cuts_at_the_first_or_the_last),
        cmocka_unit_test(cut_distinguishes_an_empty_rest_from_none),
        cmocka_unit_test(reads_decimal_numbers_up_to_a_maximum),
        cmocka_unit_test(reads_durations_with_units),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(appends_no_more_than_fits),
        cmocka_unit_test(different_texts_have_different_hashes),
        cmocka_unit_test(terminal_control_characters_are_replaced),
        cmocka_unit_test(every_byte_changes_the_low_bits_of_a_hash),
    };
    return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
