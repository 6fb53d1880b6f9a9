/* tests/unit/base/program_test.c - programs that end, fail, and do not end */
#include "base/program.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static enum err sh(const char *script, int64_t ms, struct diag *why)
{
    const char *const words[] = { "sh", "-c", script, NULL };

    return program_run_within(words, "one\ntwo\n", ms, why);
}

static void no_child_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void its_input_and_its_status_are_seen(void **state)
{
    struct diag why = { "" };
    (void)state;

    assert_int_equal(sh("read a; read b; test $a$b = onetwo", 20000, &why), OK);
    assert_int_equal(sh("echo first >&2; echo last >&2; exit 3", 20000, &why), ERR_IO);
    assert_string_equal(why.text, "sh: last");
    assert_int_equal(sh("kill -9 $$", 20000, &why), ERR_IO);
    assert_string_equal(why.text, "sh: ended by signal 9");
    no_child_is_left();
}

static void one_that_does_not_end_is_stopped_and_named(void **state)
{
    struct timespec before, after;
    struct diag why = { "" };
    (void)state;

    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(sh("exec sleep 60", 100, &why), ERR_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_non_null(strstr(why.text, "sh: had not ended after 100 ms, and was stopped"));
    assert_true(after.tv_sec - before.tv_sec < 30);
    no_child_is_left();
}

/* SIGTERM does not end it. */
static void one_that_does_not_stop_is_killed(void **state)
{
    struct diag why = { "" };
    (void)state;

    assert_int_equal(sh("trap '' TERM; exec sleep 60", 500, &why), ERR_TIMEOUT);
    no_child_is_left();
}

static void one_that_is_not_there_is_named(void **state)
{
    const char *const words[] = { "/nonexistent/x", NULL };
    struct diag why = { "" };
    (void)state;

    assert_int_equal(program_run(words, NULL, &why), ERR_IO);
    assert_string_equal(why.text, "/nonexistent/x: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_input_and_its_status_are_seen),
        cmocka_unit_test(one_that_does_not_end_is_stopped_and_named),
        cmocka_unit_test(one_that_does_not_stop_is_killed),
        cmocka_unit_test(one_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
