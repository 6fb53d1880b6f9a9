/* tests/unit/cli/cli_test.c - what each command has in common */
#include "cli/cli.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/own.h"

/* exec and doctor have maps of names in the cluster, as the process that serves has. */
static void keys_of_maps_are_hashed_with_a_random_seed(void **state)
{
    char program[] = "kube-tunnel", command[] = "version";
    char *words[] = { program, command, NULL };
    uint64_t first = map_hash(STR("web"));
    (void)state;

    assert_int_equal(cli_main(2, words), 0);
    uint64_t second = map_hash(STR("web"));
    assert_int_equal(cli_main(2, words), 0);
    assert_true(first != second && second != map_hash(STR("web")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_maps_are_hashed_with_a_random_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
