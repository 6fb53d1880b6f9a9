/* tests/unit/kube/exec_plugin_test.c - which requests share a run, which get the terminal, limits */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "folder.h"
#include "kube/exec_credential.h"
#include "kube/exec_plugin.h"
#include "kube/kubeconfig.h"

static struct loop *loop;
static struct folder folder;
static struct exec_plugins *plugins;
static struct task wake;
static unsigned wakes;

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
    folder_create(&folder);
    plugins = exec_plugins_create(
        loop, &(struct exec_settings){ .run_ms = 1000, .terminal_ms = 1500 });
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    exec_plugins_destroy(plugins);
    task_cancel(&wake);
    loop_destroy(loop);
    folder_destroy(&folder);
    return 0;
}

/* A plugin that records its run and prints a token; `before` is script that runs
 * first. */
static char *put_plugin(const char *name, const char *before)
{
    AUTO_FREE char *text =
        xasprintf("#!/bin/sh\necho run >>%s/runs\n%s\n"
                  "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" EXEC_API_V1
                  "\",\"status\":{\"token\":\"t\"}}'\n",
                  folder.path, before);
    char *path = xstrdup(folder_put(&folder, name, text));
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static size_t count_runs(void)
{
    AUTO_FREE char *path = xasprintf("%s/runs", folder.path);
    struct stat s;
    return stat(path, &s) == 0 ? (size_t)s.st_size / 4 : 0;
}

struct setup {
    struct kc_exec exec;
    struct kc_user user;
    struct kc_cluster cluster;
    struct kube_target target;
};

static void setup_init(struct setup *s, char *command, const char *mode)
{
    *s = (struct setup){
        .exec = { .command = command,
                  .api_version = (char *)EXEC_API_V1,
                  .interactive_mode = (char *)(uintptr_t)mode },
        .user = { .entry = { .name = (char *)"u", .file = "/config" } },
        .cluster = { .server = (char *)"https://x" },
    };
    list_init(&s->user.entry.node);
    list_init(&s->cluster.entry.node);
    s->user.exec = &s->exec;
    s->target = (struct kube_target){ .user = &s->user,
                                      .cluster = &s->cluster,
                                      .server = (char *)"https://x",
                                      .source = SOURCE_EXEC };
}

static enum err want(struct exec_plugin *p, bool no_terminal, struct diag *why)
{
    struct credentials_want w = { .wake = &wake, .no_terminal = no_terminal };
    const struct secret *secret;
    uint64_t generation;
    enum err e = exec_plugin_want(p, 0, &w, &secret, &generation, why);

    credentials_leave(&w);
    return e;
}

static enum err await(struct exec_plugin *p, struct diag *why)
{
    enum err e;

    for (int turn = 0; (e = want(p, false, why)) == ERR_AGAIN && turn < 1000; turn++)
        loop_run_once(loop, 10);
    return e;
}

static void contexts_with_the_same_command_share_a_run(void **state)
{
    (void)state;
    AUTO_FREE char *path = put_plugin("plugin", "");
    struct setup one, two;
    struct diag why;
    setup_init(&one, path, "Never");
    setup_init(&two, path, "Never");
    two.cluster.server = two.target.server = (char *)"https://other";

    struct exec_plugin *a = exec_plugin_get(plugins, &one.target);
    struct exec_plugin *b = exec_plugin_get(plugins, &two.target);
    assert_ptr_equal(a, b);
    assert_int_equal(want(a, false, &why), ERR_AGAIN);
    assert_int_equal(await(b, &why), OK);
    assert_int_equal(want(a, false, &why), OK);
    assert_int_equal(count_runs(), 1);
    exec_plugin_unref(a);
    assert_int_equal(want(b, false, &why), OK);
    exec_plugin_unref(b);
}

static void other_arguments_variables_and_clusters_are_other_plugins(void **state)
{
    (void)state;
    char *argument[] = { (char *)"a" }, *arguments[] = { (char *)"a", (char *)"" };
    struct text_pair pair = { (char *)"a", (char *)"" };
    struct setup setups[6];
    struct exec_plugin *got[ARRAY_LEN(setups)];

    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        setup_init(&setups[i], (char *)"aws", "Never");
    setups[1].exec.args = (struct texts){ argument, 1 };
    setups[2].exec.args = (struct texts){ arguments, 2 };
    setups[3].exec.env = (struct text_pairs){ &pair, 1 };
    setups[4].exec.provide_cluster_info = true;
    setups[5].exec.provide_cluster_info = true;
    setups[5].cluster.server = (char *)"https://other";
    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        got[i] = exec_plugin_get(plugins, &setups[i].target);
    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(got[i], got[j]);
    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        exec_plugin_unref(got[i]);
}

static void run_over_its_time_is_stopped_and_named(void **state)
{
    (void)state;
    AUTO_FREE char *path = put_plugin("plugin", "echo open a browser >&2; exec sleep 60");
    struct setup s;
    struct diag why;
    setup_init(&s, path, "Never");

    struct exec_plugin *p = exec_plugin_get(plugins, &s.target);
    uint64_t began = loop_sched(loop)->now;
    assert_int_equal(await(p, &why), ERR_CREDENTIALS);
    assert_in_range(loop_sched(loop)->now - began, 1000, 4000);
    assert_non_null(strstr(why.text, "stopped after 1 s: open a browser"));
    exec_plugin_unref(p);
}

static void a_plugin_without_waiting_requests_is_ended(void **state)
{
    (void)state;
    AUTO_FREE char *path =
        put_plugin("plugin", "trap '' TERM; while :; do sleep 1; done");
    struct setup s;
    struct diag why;
    setup_init(&s, path, "Never");

    struct exec_plugin *p = exec_plugin_get(plugins, &s.target);
    assert_int_equal(want(p, false, &why), ERR_AGAIN);
    for (int turn = 0; !count_runs() && turn < 500; turn++)
        loop_run_once(loop, 10);
    exec_plugin_unref(p);
    for (int turn = 0; waitpid(-1, NULL, WNOHANG) == 0 && turn < 500; turn++)
        loop_run_once(loop, 10);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* ---- in the foreground of a terminal ---- */

static void on_terminal(void (*test)(void))
{
    int status = -1, fd = -1;
    pid_t child = forkpty(&fd, NULL, NULL, NULL);

    assert_true(child >= 0);
    if (child == 0) {
        begin(NULL);
        log_set_level(LEVEL_ERROR);
        test();
        end(NULL);
        _exit(0);
    }
    char seen[4096];
    while (read(fd, seen, sizeof(seen)) > 0)
        ;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fd);
    assert_int_equal(status, 0);
}

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            _exit(__LINE__ & 127);                                                       \
    } while (0)

static void check_policy(void)
{
    AUTO_FREE char *path = put_plugin("plugin", "test -t 0 || exit 7");
    struct setup asks, never;
    struct diag why;
    setup_init(&asks, path, "IfAvailable");
    setup_init(&never, path, "Never");

    struct exec_plugin *p = exec_plugin_get(plugins, &asks.target);
    CHECK(exec_plugin_is_interactive(p));
    CHECK(want(p, true, &why) == ERR_CREDENTIALS);
    CHECK(strstr(why.text, "prompts at the terminal of kube-tunnel"));
    CHECK(count_runs() == 0);
    CHECK(await(p, &why) == OK);
    CHECK(want(p, true, &why) == OK); /* the existing credential may be used */
    exec_plugin_unref(p);
    p = exec_plugin_get(plugins, &never.target);
    CHECK(!exec_plugin_is_interactive(p));
    CHECK(want(p, true, &why) == ERR_AGAIN);
    exec_plugin_unref(p);
}

static void a_request_that_may_not_prompt_starts_no_interactive_plugin(void **state)
{
    (void)state;
    on_terminal(check_policy);
}

static void check_turns(void)
{
    AUTO_FREE char *before = xasprintf(
        "mkdir %s/lock || exit 9; sleep 0.2; rmdir %s/lock", folder.path, folder.path);
    AUTO_FREE char *path = put_plugin("plugin", before);
    char *argument[] = { (char *)"a" };
    struct setup one, two;
    struct diag why;
    setup_init(&one, path, "Always");
    setup_init(&two, path, "Always");
    two.exec.args = (struct texts){ argument, 1 };

    struct exec_plugin *a = exec_plugin_get(plugins, &one.target);
    struct exec_plugin *b = exec_plugin_get(plugins, &two.target);
    CHECK(want(a, false, &why) == ERR_AGAIN);
    CHECK(want(b, false, &why) == ERR_AGAIN);
    CHECK(strstr(why.text, "waits for the terminal"));
    CHECK(await(b, &why) == OK);
    CHECK(await(a, &why) == OK);
    CHECK(count_runs() == 2);
    exec_plugin_unref(a);
    exec_plugin_unref(b);
}

static void terminal_is_lent_to_one_plugin_at_a_time(void **state)
{
    (void)state;
    on_terminal(check_turns);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(contexts_with_the_same_command_share_a_run),
        TEST(other_arguments_variables_and_clusters_are_other_plugins),
        TEST(run_over_its_time_is_stopped_and_named),
        TEST(a_plugin_without_waiting_requests_is_ended),
        cmocka_unit_test(a_request_that_may_not_prompt_starts_no_interactive_plugin),
        cmocka_unit_test(terminal_is_lent_to_one_plugin_at_a_time),
    };
    log_set_level(LEVEL_ERROR);
    return cmocka_run_group_tests_name("kube/exec_plugin", tests, NULL, NULL);
}
