/* tests/unit/resolver/block_test.c - lines of ours in a file of others */
#include "resolver/block.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/own.h"

#define LINES STR("127.5.1.1 web.shop.svc.cluster.local\n")

static const char *const texts[] = {
    "",
    "\n",
    "127.0.0.1 localhost",
    "127.0.0.1 localhost\n",
    "\n\n127.0.0.1 localhost\n\n",
    "127.0.0.1 localhost\r\n::1 localhost\r\n",
    "# kube-tunnel is not a marker\n",
    "\xff\xfe no UTF-8\n",
};

static char *put(const char *text, struct str lines, enum block_place place)
{
    char *made = NULL;

    assert_int_equal(block_put(str_of(text), lines, place, &made, NULL), OK);
    return made;
}

static void a_removed_block_leaves_each_byte_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (enum block_place place = BLOCK_AT_END; place <= BLOCK_AT_TOP; place++) {
            AUTO_FREE char *with = put(texts[i], LINES, place);
            AUTO_FREE char *bare = NULL;
            struct str found;
            assert_int_equal(block_find(str_of(with), &found, NULL), OK);
            assert_true(str_eq(found, LINES));
            assert_int_equal(block_remove(str_of(with), &bare, NULL), OK);
            assert_string_equal(bare, texts[i]);
        }
}

static void a_block_is_replaced_in_its_place(void **state)
{
    AUTO_FREE char *first = put("before", LINES, BLOCK_AT_END);
    AUTO_FREE char *added = xasprintf("%safter\n", first);
    AUTO_FREE char *second = put(added, STR("127.5.1.2 x\n127.5.1.3 y\n"), BLOCK_AT_END);
    AUTO_FREE char *same = put(second, LINES, BLOCK_AT_END);
    AUTO_FREE char *bare = NULL;
    (void)state;

    assert_string_equal(same, added);
    assert_non_null(strstr(second, "127.5.1.3 y\n# kube-tunnel: end\nafter\n"));
    assert_int_equal(block_remove(str_of(second), &bare, NULL), OK);
    assert_string_equal(bare, "before\nafter\n");
}

static void at_the_top_it_stands_before_all_others(void **state)
{
    AUTO_FREE char *with =
        put("nameserver 10.0.0.1\n", STR("nameserver 127.0.53.53\n"), BLOCK_AT_TOP);
    (void)state;

    assert_string_equal(with, "# kube-tunnel: begin, written by kube-tunnel dns install\n"
                              "nameserver 127.0.53.53\n# kube-tunnel: end\nnameserver "
                              "10.0.0.1\n");
}

static void half_a_block_is_refused_with_its_line(void **state)
{
#define BEGIN "# kube-tunnel: begin, written by kube-tunnel dns install"
#define END "# kube-tunnel: end"
    static const struct {
        const char *text, *line;
    } wrong[] = {
        { "a\n" BEGIN "\nb\n", "line 3 " },
        { "a\n" END "\n", "line 2 " },
        { BEGIN "\n" BEGIN "\n" END "\n", "line 2 " },
        { BEGIN "\n" END "\n" END "\n", "line 3 " },
        { BEGIN "\n" END "\n" BEGIN "\n" END "\n", "line 3 " },
        { BEGIN "\nx\n" END, "line 3 " },
        { BEGIN " (no line feed before it)\n" END "\n", "line 1 " },
        { "# kube-tunnel: BEGIN\n", "line 1 " },
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct diag why = { "" };
        struct str lines;
        char *made = NULL;
        struct str text = str_of(wrong[i].text);
        assert_int_equal(block_put(text, LINES, BLOCK_AT_END, &made, &why), ERR_CONFIG);
        assert_non_null(strstr(why.text, wrong[i].line));
        assert_int_equal(block_remove(text, &made, &why), ERR_CONFIG);
        assert_int_equal(block_find(text, &lines, &why), ERR_CONFIG);
        assert_null(made);
    }
}

static void without_a_block_nothing_is_found(void **state)
{
    struct str lines;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_FREE char *bare = NULL;
        assert_int_equal(block_find(str_of(texts[i]), &lines, NULL), ERR_NOT_FOUND);
        assert_int_equal(block_remove(str_of(texts[i]), &bare, NULL), OK);
        assert_string_equal(bare, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_removed_block_leaves_each_byte_as_it_was),
        cmocka_unit_test(a_block_is_replaced_in_its_place),
        cmocka_unit_test(at_the_top_it_stands_before_all_others),
        cmocka_unit_test(half_a_block_is_refused_with_its_line),
        cmocka_unit_test(without_a_block_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
