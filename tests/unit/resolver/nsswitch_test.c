/* tests/unit/resolver/nsswitch_test.c - which lines keep names of .local from the DNS */
#include "resolver/nsswitch.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/own.h"

static void lines_that_end_the_lookup_are_found_and_mended(void **state)
{
    static const char *const lines[][2] = {
        { "hosts: files mdns4_minimal [NOTFOUND=return] dns",
          "hosts: files dns mdns4_minimal [NOTFOUND=return]" },
        { "hosts:\tfiles mdns_minimal [notfound=RETURN] resolve [!UNAVAIL=return] dns\n",
          "hosts: files resolve [!UNAVAIL=return] dns mdns_minimal [notfound=RETURN]" },
        { "passwd: files\nhosts: mdns6[ SUCCESS=continue NOTFOUND=return ]dns # x",
          "hosts: dns mdns6 [ SUCCESS=continue NOTFOUND=return ]" },
        { "hosts: files mdns4 [!SUCCESS=return] myhostname dns",
          "hosts: files dns mdns4 [!SUCCESS=return] myhostname" },
        { "hosts: files mdns4_minimal [NOTFOUND=return",
          "hosts: files dns mdns4_minimal [NOTFOUND=return" },
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO_FREE char *fixed = NULL;
        char *again = NULL;
        assert_true(nsswitch_swallows_local(str_of(lines[i][0]), &fixed));
        assert_string_equal(fixed, lines[i][1]);
        assert_false(nsswitch_swallows_local(str_of(fixed), &again));
    }
}

static void other_lines_are_left_alone(void **state)
{
    static const char *const lines[] = {
        "",
        "hosts: files dns",
        "hosts: files mdns4_minimal dns",
        "hosts: files dns mdns4_minimal [NOTFOUND=return]",
        "hosts: files resolve [!UNAVAIL=return] mdns4_minimal [NOTFOUND=return] dns",
        "hosts: files [NOTFOUND=return] dns",
        "# hosts: files mdns4_minimal [NOTFOUND=return] dns",
        "networks: files mdns4_minimal [NOTFOUND=return] dns",
        "hosts: files mdns4_minimal [UNAVAIL=return] dns",
        "hosts: files # mdns4_minimal [NOTFOUND=return]",
        "hosts: [NOTFOUND=return",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char *fixed = NULL;
        assert_false(nsswitch_swallows_local(str_of(lines[i]), &fixed));
        assert_null(fixed);
    }
}

static void a_line_ends_at_a_zero_byte(void **state)
{
    struct str bare = STR("hosts: files [\0] mdns4_minimal [NOTFOUND=return] dns");
    struct str ended = STR("hosts: mdns4 [NOTFOUND=return\0] dns");
    AUTO_FREE char *fixed = NULL;
    (void)state;

    assert_false(nsswitch_swallows_local(bare, &fixed));
    assert_null(fixed);
    assert_true(nsswitch_swallows_local(ended, &fixed));
    assert_string_equal(fixed, "hosts: dns mdns4 [NOTFOUND=return");
    assert_false(nsswitch_has(STR("hosts: files\0 resolve"), STR("resolve")));
}

static void a_service_is_a_whole_word_of_the_line_hosts(void **state)
{
    struct str text = STR("passwd: resolve\nhosts: files resolve[!UNAVAIL=return] dns\n");
    (void)state;

    assert_true(nsswitch_has(text, STR("resolve")));
    assert_true(nsswitch_has(text, STR("dns")));
    assert_false(nsswitch_has(text, STR("resol")));
    assert_false(nsswitch_has(STR("passwd: resolve\n"), STR("resolve")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_end_the_lookup_are_found_and_mended),
        cmocka_unit_test(other_lines_are_left_alone),
        cmocka_unit_test(a_line_ends_at_a_zero_byte),
        cmocka_unit_test(a_service_is_a_whole_word_of_the_line_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
