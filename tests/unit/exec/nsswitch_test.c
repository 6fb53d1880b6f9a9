/* tests/unit/exec/nsswitch_test.c - the rule for hosts that is derived from the machine's */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "exec/nsswitch.h"

static const struct {
    const char *of, *text, *expected;
} cases[] = {
    { "Debian", "hosts: files dns\n", "hosts: files dns\n" },
    { "desktop", "hosts:          files mdns4_minimal [NOTFOUND=return] dns\n",
      "hosts: files mdns4_minimal dns\n" },
    { "both families", "hosts: files mdns_minimal[NOTFOUND=return] dns mdns\n",
      "hosts: files mdns_minimal dns mdns\n" },
    { "resolved", "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n",
      "hosts: files mymachines resolve [!UNAVAIL=return] myhostname dns\n" },
    { "condition of files",
      "hosts: dns files [SUCCESS=return] [ NOTFOUND=continue ] nis\n",
      "hosts: files dns nis\n" },
    { "comment", "# hosts: nis\nhosts: dns # files\n",
      "# hosts: nis\nhosts: files dns\n" },
    { "no rule", "passwd: files\n", "passwd: files\nhosts: files dns\n" },
    { "empty", "", "hosts: files dns\n" },
    { "no end", "\t hosts :\tdns", "hosts: files dns\n" },
    { "open bracket", "hosts: dns [NOTFOUND=return files\n",
      "hosts: files dns [NOTFOUND=return files\n" },
    { "others stay", "passwd: files systemd\nhosts: files\n\nhostsx: a\n",
      "passwd: files systemd\nhosts: files\n\nhostsx: a\n" },
};

static void hosts_file_is_asked_first_and_nothing_hides_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *derived = nsswitch_derive(str_of(cases[i].text));
        if (strcmp(derived, cases[i].expected) != 0)
            fail_msg("%s: got \"%s\"", cases[i].of, derived);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_file_is_asked_first_and_nothing_hides_names),
    };
    return cmocka_run_group_tests_name("exec/nsswitch", tests, NULL, NULL);
}
