/* tests/unit/daemon/process_test.c - limits of the process, and the pod it runs in */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/own.h"
#include "daemon/process.h"

static struct rlimit at_start;

static void set_files(rlim_t soft)
{
    struct rlimit limit = { .rlim_cur = soft, .rlim_max = at_start.rlim_max };

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int restore(void **state)
{
    (void)state;
    return setrlimit(RLIMIT_NOFILE, &at_start);
}

static void clients_get_three_of_four_files_that_are_left(void **state)
{
    (void)state;
    static const struct {
        size_t files, max, clients, surplus;
    } cases[] = {
        /* 64 for own files, 64 for surplus clients */
        { 1024, 100000, (1024 - 64 - 64) / 4 * 3, 64 },
        { 512, 100000, (512 - 64 - 64) / 4 * 3, 64 },
        { 80, 100000, (80 - 10 - 10) / 4 * 3, 10 }, /* an eighth each if there are few */
        { 1024, 671, 671, 64 },
        { 1024, 10, 10, 64 },
        { 4, 100, 3, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_files(cases[i].files);
        struct client_limit limit = process_client_limit(cases[i].max);
        assert_int_equal(limit.files, cases[i].files);
        assert_int_equal(limit.clients, cases[i].clients);
        assert_int_equal(limit.surplus, cases[i].surplus);
    }
}

static void one_client_is_always_allowed(void **state)
{
    (void)state;
    set_files(3);
    assert_int_equal(process_client_limit(100).clients, 1);
}

static void preparing_raises_the_limit_on_files_and_ignores_sigpipe(void **state)
{
    (void)state;
    struct rlimit limit;
    struct sigaction action;

    set_files(at_start.rlim_max / 2);
    process_prepare();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, at_start.rlim_max);
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
    assert_non_null(getenv("UV_THREADPOOL_SIZE"));
}

static void outside_a_pod_only_pod_uid_identifies_us(void **state)
{
    (void)state;
    char room[OWN_NAME_ROOM];

    if (in_pod())
        skip();
    setenv("POD_UID", "4711", 1);
    assert_string_equal(own_pod("shop", room).uid, "4711");
    assert_null(own_pod("shop", room).name);
    assert_null(own_pod("shop", room).ns);
    setenv("POD_UID", "", 1);
    assert_null(own_pod("shop", room).uid);
    unsetenv("POD_UID");
    assert_null(own_pod("shop", room).uid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(clients_get_three_of_four_files_that_are_left, restore),
        cmocka_unit_test_teardown(one_client_is_always_allowed, restore),
        cmocka_unit_test_teardown(preparing_raises_the_limit_on_files_and_ignores_sigpipe,
                                  restore),
        cmocka_unit_test(outside_a_pod_only_pod_uid_identifies_us),
    };

    getrlimit(RLIMIT_NOFILE, &at_start);
    return cmocka_run_group_tests_name("daemon/process", tests, NULL, NULL);
}
