/* tests/unit/resolver/step_live_test.c - commands, values of the kernel, capabilities
 *
 * A file stands for a value below /proc/sys.
 */
#include "resolver/step.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

#define BIND_SERVICE "0100000200040000000000000000000000000000"

static const struct machine here = { "" }, elsewhere = { "/nonexistent" };
static char folder[] = "/tmp/kube-tunnel-live-XXXXXX";
static char *path;

static int setup(void **state)
{
    (void)state;
    strcpy(folder + sizeof(folder) - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    path = xasprintf("%s/value", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    free(path);
    return rmdir(folder);
}

static void set(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_value(const char *text)
{
    AUTO_FREE char *found = NULL;
    size_t len;

    assert_int_equal(file_read(path, 4096, &found, &len, NULL), OK);
    assert_string_equal(found, text);
}

static void a_value_of_the_kernel_is_set_and_restored(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_KERNEL, xstrdup(path), NULL, xstrdup("0080") };
    struct diag why = { "" };
    (void)state;

    set("1024\n");
    assert_int_equal(step_prepare(&here, &s, &why), OK);
    assert_string_equal(s.before, "1024");
    assert_int_equal(step_look(&here, &s, &why), STEP_BEFORE);
    assert_int_equal(step_apply(&here, &s, &why), OK);
    assert_value("0080\n");
    assert_int_equal(step_look(&here, &s, &why), STEP_DONE);
    assert_int_equal(step_undo(&here, &s, &why), OK);
    assert_value("1024\n");
}

static void a_value_that_was_set_meanwhile_is_left(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_KERNEL, xstrdup(path), NULL, xstrdup("0080") };
    struct diag why = { "" };
    (void)state;

    set("1024\n");
    assert_int_equal(step_prepare(&here, &s, &why), OK);
    set("0443\n");
    assert_int_equal(step_undo(&here, &s, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "is \"0443\" by now"));
    assert_int_equal(step_apply(&here, &s, &why), ERR_IN_USE);
    assert_value("0443\n");
}

static void a_command_is_undone_by_another_where_its_file_is(void **state)
{
    AUTO_FREE char *touch = xasprintf("touch %s", path);
    AUTO_FREE char *rm = xasprintf("rm %s", path);
    AUTO(step_finish)
    struct step s = { STEP_COMMAND, xstrdup(path), xstrdup(rm), xstrdup(touch) };
    struct diag why = { "" };
    (void)state;

    assert_int_equal(step_look(&here, &s, NULL), STEP_UNKNOWN);
    assert_int_equal(step_undo(&here, &s, &why), OK); /* no file: rm would fail */
    assert_int_equal(step_apply(&here, &s, &why), OK);
    assert_value("");
    assert_int_equal(step_undo(&here, &s, &why), OK);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_command_that_fails_is_named_with_its_last_line(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_COMMAND, NULL, NULL, xstrdup("ls /nonexistent/x") };
    struct diag why = { "" };
    (void)state;

    assert_int_equal(step_apply(&here, &s, &why), ERR_IO);
    assert_non_null(strstr(why.text, "ls /nonexistent/x: ls: "));
    assert_non_null(strstr(why.text, "No such file"));
}

/* Its last words would be missing. */
static void a_command_of_too_many_words_is_not_run(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_COMMAND, NULL, NULL,
                      xstrdup("true 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16") };
    struct diag why = { "" };
    (void)state;

    assert_int_equal(step_apply(&here, &s, &why), OK);
    free(s.after);
    s.after = xstrdup("true 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    assert_int_equal(step_apply(&here, &s, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "has more than 16 words"));
}

static void within_another_root_nothing_runs(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_COMMAND, NULL, xstrdup("false"), xstrdup("false") };
    (void)state;

    assert_true(step_is_skipped(&elsewhere, &s));
    assert_int_equal(step_apply(&elsewhere, &s, NULL), OK);
    assert_int_equal(step_undo(&elsewhere, &s, NULL), OK);
    assert_int_equal(step_apply(&here, &s, NULL), ERR_IO);
}

/* The kernel checks the structure, so this also shows that it is right. */
static void a_program_gets_the_capability_and_loses_it(void **state)
{
    AUTO(step_finish)
    struct step s = { STEP_CAPABILITY, xstrdup(path), NULL, xstrdup(BIND_SERVICE) };
    struct diag why = { "" };
    unsigned char bytes[64];
    (void)state;

    if (geteuid() != 0)
        skip();
    set("#!/bin/sh\n");
    assert_int_equal(step_prepare(&here, &s, &why), OK);
    assert_null(s.before);
    assert_int_equal(step_apply(&here, &s, &why), OK);
    assert_int_equal(getxattr(path, "security.capability", bytes, sizeof(bytes)), 20);
    assert_int_equal(step_look(&here, &s, &why), STEP_DONE);
    assert_int_equal(step_undo(&here, &s, &why), OK);
    assert_int_equal(getxattr(path, "security.capability", bytes, sizeof(bytes)), -1);
    assert_int_equal(errno, ENODATA);

    assert_int_equal(step_apply(&here, &s, &why), OK);
    set("#!/bin/sh\n# upgraded\n"); /* a write takes it away */
    assert_int_equal(step_look(&here, &s, &why), STEP_BEFORE);
    assert_int_equal(step_undo(&here, &s, &why), OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_of_the_kernel_is_set_and_restored),
        TEST(a_value_that_was_set_meanwhile_is_left),
        TEST(a_command_is_undone_by_another_where_its_file_is),
        TEST(a_command_that_fails_is_named_with_its_last_line),
        TEST(a_command_of_too_many_words_is_not_run),
        TEST(within_another_root_nothing_runs),
        TEST(a_program_gets_the_capability_and_loses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
