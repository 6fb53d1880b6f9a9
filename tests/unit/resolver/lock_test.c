/* tests/unit/resolver/lock_test.c - processes that want to change the machine at the same time */
#include "resolver/lock.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/program.h"

static char *root;

static int setup(void **state)
{
    char folder[] = "/tmp/kube-tunnel-lock-XXXXXX";
    (void)state;

    root = xstrdup(mkdtemp(folder));
    AUTO_FREE char *lib = xasprintf("%s" JOURNAL_FOLDER, root);
    const char *const words[] = { "mkdir", "-p", lib, NULL };
    return program_run(words, NULL, NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    const char *const words[] = { "rm", "-rf", root, NULL };
    (void)state;

    int failed = program_run(words, NULL, NULL) != OK;
    free(root);
    return failed;
}

static char *at(const char *path)
{
    return xasprintf("%s%s", root, path);
}

static enum err take(int wait_ms, struct lock *ret, struct diag *why)
{
    const struct machine m = { root };

    return lock_take(&m, wait_ms, ret, why);
}

static bool exists(const char *path)
{
    AUTO_FREE char *full = at(path);

    return access(full, F_OK) == 0;
}

static void both_are_private_and_go_with_the_lock(void **state)
{
    AUTO_FREE char *folder = at(LOCK_FOLDER), *path = at(LOCK_FOLDER "/lock");
    struct lock l = { 0 };
    struct stat facts;
    (void)state;

    assert_int_equal(take(0, &l, NULL), OK);
    assert_int_equal(stat(folder, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    lock_release(&l);
    assert_false(exists(LOCK_FOLDER));
    lock_release(&l);
}

/* A process that has taken the lock, and ends without releasing it when its pipe is closed. */
static pid_t start_holder(int *ret_pipe)
{
    struct lock l = { 0 };
    int ready[2], end[2];
    char byte = 'n';

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    pid_t id = fork();
    if (id == 0) {
        close(end[1]);
        byte = take(0, &l, NULL) == OK ? 'y' : 'n';
        ssize_t n = write(ready[1], &byte, 1);
        n = read(end[0], &byte, 1);
        _exit((int)n);
    }
    close(end[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(byte, 'y');
    *ret_pipe = end[1];
    return id;
}

static void the_holder_is_named_until_it_ends(void **state)
{
    struct diag why = { "" };
    struct lock l = { 0 };
    int end;
    (void)state;

    pid_t id = start_holder(&end);
    assert_int_equal(take(0, &l, &why), ERR_IN_USE);
    assert_null(l.path);
    AUTO_FREE char *words = xasprintf(
        "process %d: wait for its end (or type: sudo kill %d)", (int)id, (int)id);
    assert_non_null(strstr(why.text, words));
    assert_int_equal(take(60, &l, &why), ERR_IN_USE);
    close(end);
    assert_int_equal(waitpid(id, NULL, 0), id);
    assert_true(exists(LOCK_FOLDER)); /* as after a crash */
    assert_int_equal(take(0, &l, &why), OK);
    lock_release(&l);
    assert_false(exists(LOCK_FOLDER));
}

static void a_process_waits_for_the_one_before_it(void **state)
{
    struct lock l = { 0 };
    int end;
    (void)state;

    pid_t id = start_holder(&end);
    pid_t closer = fork();
    if (closer == 0) {
        const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
        nanosleep(&pause, NULL);
        _exit(0); /* with its end of the pipe */
    }
    close(end);
    assert_int_equal(take(20000, &l, NULL), OK);
    lock_release(&l);
    assert_int_equal(waitpid(id, NULL, 0), id);
    assert_int_equal(waitpid(closer, NULL, 0), closer);
}

static void assert_unsafe(const char *path)
{
    struct diag why = { "" };
    struct lock l = { 0 };

    assert_int_equal(take(0, &l, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, "other users may change it"));
}

static void what_others_may_hold_is_no_lock(void **state)
{
    AUTO_FREE char *folder = at(LOCK_FOLDER), *path = at(LOCK_FOLDER "/lock");
    AUTO_FREE char *other = at("/other");
    (void)state;

    assert_int_equal(mkdir(folder, 0755), 0);
    assert_unsafe(folder);
    assert_false(exists(LOCK_FOLDER "/lock"));
    assert_int_equal(chmod(folder, 0700), 0);
    int fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(symlink(other, path), 0);
    assert_unsafe(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_unsafe(path);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_unsafe(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(folder, other), 0);
    assert_int_equal(symlink(other, folder), 0);
    assert_unsafe(folder);
    if (geteuid() == 0) {
        assert_int_equal(unlink(folder), 0);
        assert_int_equal(rename(other, folder), 0);
        assert_int_equal(chown(folder, 12345, 12345), 0);
        assert_unsafe(folder);
    }
}

static void a_machine_without_the_folder_has_no_lock(void **state)
{
    AUTO_FREE char *folder = at(JOURNAL_FOLDER);
    struct lock l = { 0 };
    (void)state;

    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(take(0, &l, NULL), ERR_NOT_FOUND);
    assert_null(l.path);
}

/* In this process the lock fails with this error from now on. */
static void refuse_locks(uint32_t error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        _exit(10);
}

/* Its exit status is 0 if the lock fails with this error and the text has, or has not, the words.
 * The pipe is that of a holder, which ends when no process has it; -1: none. */
static pid_t start_refused(int pipe, int error, int wait_ms, enum err expected,
                           const char *words, bool has)
{
    pid_t id = fork();

    if (id)
        return id;
    struct diag why = { "" };
    struct lock l = { 0 };
    if (pipe >= 0)
        close(pipe);
    refuse_locks((uint32_t)error);
    if (take(wait_ms, &l, &why) != expected)
        _exit(1);
    _exit((strstr(why.text, words) != NULL) == has ? 0 : 2);
}

static void another_error_than_that_it_is_held_is_reported_at_once(void **state)
{
    int status;
    (void)state;

    pid_t id = start_refused(-1, ENOLCK, 20000, ERR_IO, strerror(ENOLCK), true);
    assert_int_equal(waitpid(id, &status, 0), id);
    assert_int_equal(status, 0);
    id = start_refused(-1, EACCES, 0, ERR_IN_USE, "another \"kube-tunnel dns\"", true);
    assert_int_equal(waitpid(id, &status, 0), id);
    assert_int_equal(status, 0);
}

static void a_holder_that_has_ended_is_not_named(void **state)
{
    const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 }; /* a few tries */
    int end, status;
    (void)state;

    pid_t holder = start_holder(&end);
    AUTO_FREE char *words = xasprintf("process %d", (int)holder);
    pid_t id = start_refused(end, EAGAIN, 1500, ERR_IN_USE, words, false);
    nanosleep(&pause, NULL);
    close(end);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(waitpid(id, &status, 0), id);
    assert_int_equal(status, 0);
}

/* Each adds 1 to a number in a file, in two steps, and removes the lock's file. */
static void add_many(int count)
{
    AUTO_FREE char *path = at("/number");

    for (int i = 0; i < count; i++) {
        struct lock l = { 0 };
        int number = 0;
        if (take(60000, &l, NULL) != OK)
            _exit(1);
        int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        ssize_t n = pread(fd, &number, sizeof(number), 0);
        number++;
        n = pwrite(fd, &number, sizeof(number), 0);
        close(fd);
        lock_release(&l);
        if (n != sizeof(number))
            _exit(1);
    }
    _exit(0);
}

static void one_process_at_a_time_has_it(void **state)
{
    enum { PROCESSES = 4, TIMES = 50 };
    AUTO_FREE char *path = at("/number");
    int number = 0, status;
    (void)state;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            add_many(TIMES);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &number, sizeof(number)), sizeof(number));
    close(fd);
    assert_int_equal(number, PROCESSES * TIMES);
    assert_false(exists(LOCK_FOLDER));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_are_private_and_go_with_the_lock),
        TEST(the_holder_is_named_until_it_ends),
        TEST(a_process_waits_for_the_one_before_it),
        TEST(what_others_may_hold_is_no_lock),
        TEST(a_machine_without_the_folder_has_no_lock),
        TEST(another_error_than_that_it_is_held_is_reported_at_once),
        TEST(a_holder_that_has_ended_is_not_named),
        TEST(one_process_at_a_time_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
