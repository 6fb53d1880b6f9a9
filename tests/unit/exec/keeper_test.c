/* tests/unit/exec/keeper_test.c - a keeper ends with the command and is not in its way */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "exec/keeper.h"

/* What the keeper finds, sent through its only descriptor. */
struct found {
    int open_fds; /* beside 0, 1, 2, the pipe and the pidfd */
    pid_t pid, session;
};

static void report(void *owner, int ended)
{
    int to = *(int *)owner;
    struct found f = { .pid = getpid(), .session = getsid(0) };
    struct pollfd p = { .fd = ended, .events = POLLIN };

    for (int fd = 3; fd < 256; fd++)
        f.open_fds += fcntl(fd, F_GETFD) >= 0;
    if (write(to, &f, sizeof(f)) != sizeof(f))
        return;
    if (poll(&p, 1, 20000) == 1 && write(to, "e", 1) != 1)
        return;
}

/* The command: starts a keeper, and lives until it is killed. */
static pid_t start(int to)
{
    pid_t command = fork();

    if (command == 0) {
        const struct keeper k = { report, &to, &to, 1 };
        if (keeper_fork(&k, NULL) || waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
            _exit(1);
        close(to);
        for (;;)
            pause();
    }
    return command;
}

static void keeper_is_no_child_and_ends_with_the_command(void **state)
{
    int ends[2], other = open("/dev/null", O_RDONLY);
    struct found f = { 0 };
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t command = start(ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &f, sizeof(f)), sizeof(f));
    assert_int_equal(f.open_fds, 2);
    assert_true(f.session != getsid(0) && f.session != f.pid);
    struct pollfd p = { .fd = ends[0], .events = POLLIN };
    assert_int_equal(poll(&p, 1, 50), 0);
    kill(command, SIGKILL);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'e');
    assert_int_equal(read(ends[0], &byte, 1), 0); /* it is gone */
    int status;
    assert_int_equal(waitpid(command, &status, 0), command);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
    close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeper_is_no_child_and_ends_with_the_command),
    };
    return cmocka_run_group_tests_name("exec/keeper", tests, NULL, NULL);
}
