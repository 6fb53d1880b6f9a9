/* tests/unit/net/process_test.c - programs are run, limited and stopped, and no process
 * is left */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "net/process.h"

static struct loop *loop;
static struct task wake;
static unsigned wakes;
static char words[8192];
static size_t words_len;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    alarm(60);
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    wakes = 0;
    words_len = 0;
    return 0;
}

/* Asserts that no child is left, neither running nor as a zombie. */
static int end(void **state)
{
    (void)state;
    task_cancel(&wake);
    loop_destroy(loop);
    errno = 0;
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void on_stderr(void *owner, struct str output)
{
    (void)owner;
    assert_true(words_len + output.len < sizeof(words));
    memcpy(words + words_len, output.at, output.len);
    words_len += output.len;
    words[words_len] = '\0';
}

static struct process *start_program(const char *path, const char *const *argv)
{
    static const char *const environment[] = { "PATH=/usr/bin:/bin", "WORD=hello", NULL };
    const struct process_request request = { .path = path,
                                             .argv = argv,
                                             .environment = environment,
                                             .output_max = 4096,
                                             .on_stderr = on_stderr };
    return process_start(loop, &request, &wake);
}

static struct process *start(const char *script)
{
    return start_program("/bin/sh", (const char *const[]){ "sh", "-c", script, NULL });
}

static const struct process_result *finish(const struct process *p)
{
    const struct process_result *r = process_result(p);

    for (int turn = 0; r->result == ERR_AGAIN && turn < 1000; turn++)
        loop_run_once(loop, 20);
    loop_run_once(loop, 0);
    return r;
}

static void returns_output_error_output_and_status(void **state)
{
    (void)state;
    struct process *p = start("echo $WORD; echo oops >&2; exit 3");
    const struct process_result *r = finish(p);

    assert_int_equal(r->result, OK);
    assert_int_equal(r->status, 3);
    assert_int_equal(r->signal, 0);
    assert_true(str_eq(r->output, STR("hello\n")));
    assert_string_equal(words, "oops\n");
    assert_int_equal(wakes, 1);
    process_close(p);
}

static void has_no_standard_input(void **state)
{
    (void)state;
    struct process *p = start("cat; echo end");
    const struct process_result *r = finish(p);

    assert_int_equal(r->result, OK);
    assert_true(str_eq(r->output, STR("end\n")));
    process_close(p);
}

static void a_missing_program_fails_at_once(void **state)
{
    (void)state;
    struct process *p =
        start_program("/nowhere/plugin", (const char *const[]){ "plugin", NULL });

    assert_int_equal(process_result(p)->result, ERR_NOT_FOUND);
    loop_run_once(loop, 0);
    assert_int_equal(wakes, 1);
    process_close(p);
    p = start_program("/etc/passwd", (const char *const[]){ "passwd", NULL });
    assert_int_equal(process_result(p)->result, ERR_ACCESS);
    process_close(p);
}

static void inherits_no_descriptor(void **state)
{
    (void)state;
    int open_one = dup(1); /* without close-on-exec */
    struct process *p = start("ls /proc/$$/fd");
    const struct process_result *r = finish(p);

    assert_true(open_one > 2);
    assert_true(str_eq(r->output, STR("0\n1\n2\n")));
    process_close(p);
    close(open_one);
}

static void too_much_output_ends_the_run(void **state)
{
    (void)state;
    struct process *p = start("exec yes");
    const struct process_result *r = finish(p);

    assert_int_equal(r->result, ERR_LIMIT);
    assert_string_equal(r->why.text, "it printed more than 4 KiB");
    assert_true(r->output.len <= 4096);
    process_close(p);
}

static int pid_of(struct str text)
{
    uint64_t pid = 0;
    assert_int_equal(str_to_uint(str_trim_space(text), INT32_MAX, &pid), OK);
    return (int)pid;
}

static bool is_alive(int pid)
{
    AUTO_FREE char *path = xasprintf("/proc/%d/stat", pid);
    char state = '?';
    FILE *f = fopen(path, "re");

    if (!f)
        return false;
    if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = '?';
    fclose(f);
    return state != 'Z' && state != '?'; /* init may reap orphans later */
}

static void await_end(int pid)
{
    for (int turn = 0; is_alive(pid) && turn < 500; turn++)
        loop_run_once(loop, 10);
    assert_false(is_alive(pid));
}

static void stopped_group_ends_although_it_ignores_sigterm(void **state)
{
    (void)state;
    struct process *p = start("trap '' TERM; sh -c 'trap \"\" TERM; sleep 50' & "
                              "echo $! >&2; wait; sleep 50");
    for (int turn = 0; !words_len && turn < 500; turn++)
        loop_run_once(loop, 10);
    process_stop(p);
    const struct process_result *r = finish(p);

    assert_int_equal(r->result, ERR_TIMEOUT);
    assert_int_equal(r->signal, SIGKILL);
    await_end(pid_of((struct str){ words, words_len }));
    process_close(p);
}

static void descendant_does_not_keep_a_run_open(void **state)
{
    (void)state;
    struct process *p = start("sleep 50 & echo $! >&2; echo token");
    uint64_t began = loop_sched(loop)->now;
    const struct process_result *r = finish(p);

    assert_int_equal(r->result, OK);
    assert_true(str_eq(r->output, STR("token\n")));
    assert_true(loop_sched(loop)->now - began < 5000);
    kill(pid_of((struct str){ words, words_len }), SIGKILL);
    process_close(p);
}

static void closed_run_is_killed_and_reaped(void **state)
{
    (void)state;
    struct process *p = start("trap '' TERM; echo $$ >&2; while :; do sleep 1; done");
    for (int turn = 0; !words_len && turn < 500; turn++)
        loop_run_once(loop, 10);
    int pid = pid_of((struct str){ words, words_len });

    process_close(p);
    await_end(pid);
    assert_int_equal(wakes, 0);
}

/* A program on the terminal is in this process's group, so its descendants are found by
 * their parent ids. */
static void program_on_the_terminal_is_stopped_with_its_children(void **state)
{
    (void)state;
    static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };
    const char *const argv[] = { "sh", "-c", "sleep 50 & echo $! >&2; wait", NULL };
    const struct process_request request = { .path = "/bin/sh",
                                             .argv = argv,
                                             .environment = environment,
                                             .terminal = true,
                                             .output_max = 4096,
                                             .on_stderr = on_stderr };
    struct process *p = process_start(loop, &request, &wake);

    for (int turn = 0; !words_len && turn < 500; turn++)
        loop_run_once(loop, 10);
    process_stop(p);
    assert_int_equal(finish(p)->result, ERR_TIMEOUT);
    await_end(pid_of((struct str){ words, words_len }));
    process_close(p);
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *open = opendir("/proc/self/fd");

    while (readdir(open))
        n++;
    closedir(open);
    return n;
}

static void runs_leave_no_descriptors(void **state)
{
    (void)state;
    process_close(start("true")); /* opens the descriptors that libuv opens once */
    for (int turn = 0; turn < 20; turn++)
        loop_run_once(loop, 5);
    size_t before = count_descriptors();

    for (int i = 0; i < 30; i++) {
        struct process *p = start("echo x; echo y >&2");
        assert_int_equal(finish(p)->result, OK);
        process_close(p);
    }
    for (int i = 0; i < 10; i++)
        process_close(start_program("/nowhere", (const char *const[]){ "x", NULL }));
    for (int turn = 0; turn < 20; turn++)
        loop_run_once(loop, 5);
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(returns_output_error_output_and_status, begin,
                                        end),
        cmocka_unit_test_setup_teardown(has_no_standard_input, begin, end),
        cmocka_unit_test_setup_teardown(a_missing_program_fails_at_once, begin, end),
        cmocka_unit_test_setup_teardown(inherits_no_descriptor, begin, end),
        cmocka_unit_test_setup_teardown(too_much_output_ends_the_run, begin, end),
        cmocka_unit_test_setup_teardown(stopped_group_ends_although_it_ignores_sigterm,
                                        begin, end),
        cmocka_unit_test_setup_teardown(descendant_does_not_keep_a_run_open, begin, end),
        cmocka_unit_test_setup_teardown(closed_run_is_killed_and_reaped, begin, end),
        cmocka_unit_test_setup_teardown(
            program_on_the_terminal_is_stopped_with_its_children, begin, end),
        cmocka_unit_test_setup_teardown(runs_leave_no_descriptors, begin, end),
    };
    return cmocka_run_group_tests_name("net/process", tests, NULL, NULL);
}
