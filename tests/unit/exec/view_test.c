/* tests/unit/exec/view_test.c - what a process finds in the private view, and what its
 * neighbours do not */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "exec/view.h"

#define NOBODY 65534

/* Assertions of a child are exit statuses: its first that fails. */
#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            _exit(__LINE__ & 0xff ? __LINE__ & 0xff : 1);                                \
    } while (0)

static int in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *text_of(const char *path)
{
    char *text = NULL;
    size_t len;

    CHECK(!file_read(path, 1 << 20, &text, &len, NULL));
    return text;
}

static void drop_to_nobody(void)
{
    if (geteuid() == 0)
        CHECK(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
              setresuid(NOBODY, NOBODY, NOBODY) == 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void check_files(struct view *v)
{
    struct stat before, after;
    char *rule = strstr(text_of("/etc/nsswitch.conf"), "hosts: files");

    CHECK(rule);
    CHECK(stat("/tmp", &before) == 0 && S_ISDIR(before.st_mode));
    CHECK(text_of("/etc/hosts")[0] == '\0');
    CHECK(write(v->hosts, "127.9.9.9 x\n", 12) == 12);
    CHECK(strcmp(text_of("/etc/hosts"), "127.9.9.9 x\n") == 0);
    CHECK(open("/etc/hosts", O_WRONLY) < 0);
    CHECK(stat("/etc/hosts", &after) == 0 && (after.st_mode & 0777) == 0644);
}

static void check_user(void)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    struct view v;

    umask(077);
    CHECK(view_enter(&v, NULL) == OK);
    CHECK(geteuid() == user && getegid() == group);
    check_files(&v);
    CHECK(view_drop_rights(&v, NULL) == OK);
    CHECK(geteuid() == user && getegid() == group);
}

static void as_nobody(void)
{
    drop_to_nobody();
    check_user();
    CHECK(strstr(text_of("/proc/self/status"), "CapEff:\t0000000000000000"));
    CHECK(strstr(text_of("/proc/self/status"), "CapPrm:\t0000000000000000"));
    CHECK(strstr(text_of("/proc/self/status"), "NoNewPrivs:\t1"));
}

/* As the kernel makes a program with file capabilities. */
static void as_nobody_without_dumps(void)
{
    drop_to_nobody();
    CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    check_user();
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void process_that_cannot_be_dumped_has_a_view(void **state)
{
    (void)state;
    assert_int_equal(in_child(as_nobody_without_dumps), 0);
}

static void neighbour_and_user_stay_as_they_were(void **state)
{
    AUTO_FREE char *before = text_of("/etc/hosts");

    (void)state;
    assert_int_equal(in_child(as_nobody), 0);
    AUTO_FREE char *after = text_of("/etc/hosts");
    assert_string_equal(before, after);
}

static void as_root(void)
{
    check_user();
    CHECK(!strstr(text_of("/proc/self/status"), "CapEff:\t0000000000000000"));
    CHECK(strstr(text_of("/proc/self/uid_map"), "4294967295"));
}

/* Root may mount, so it needs no user namespace, and keeps what it may. */
static void root_keeps_its_rights(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(as_root), 0);
}

static void without_namespaces(void)
{
    struct diag why = { "" };
    struct view v;
    int fd;

    /* The limit is that of a user namespace, so this one has its own. */
    drop_to_nobody();
    CHECK(unshare(CLONE_NEWUSER) == 0);
    fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "0", 1) == 1);
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    const struct __user_cap_data_struct none[2] = { { 0 } };
    CHECK(syscall(SYS_capset, &header, none) == 0);
    CHECK(view_enter(&v, &why) == ERR_UNAVAILABLE);
    CHECK(strstr(why.text, "user.max_user_namespaces"));
}

static void refusal_names_the_sysctl(void **state)
{
    (void)state;
    assert_int_equal(in_child(without_namespaces), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_that_cannot_be_dumped_has_a_view),
        cmocka_unit_test(neighbour_and_user_stay_as_they_were),
        cmocka_unit_test(root_keeps_its_rights),
        cmocka_unit_test(refusal_names_the_sysctl),
    };
    return cmocka_run_group_tests_name("exec/view", tests, NULL, NULL);
}
