/* base/program.c - run a program and wait for it */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"

#define OUTPUT_MAX 4096
/* systemctl waits for the end of a unit (90 s) and its start (30 s in ours). */
#define DEADLINE_MS 150000
#define GRACE_MS 5000 /* between SIGTERM and SIGKILL */
#define LOOK_MS 10

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

char *program_find(const char *name)
{
    const char *path = getenv("PATH");
    struct str rest = str_of(path ? path : "/usr/local/bin:/usr/bin:/bin"), folder;

    while (rest.at) {
        rest = str_cut(rest, ':', &folder);
        AUTO_FREE char *file = xasprintf("%.*s/%s", STR_ARG(folder), name);
        if (!str_empty(folder) && access(file, X_OK) == 0)
            return TAKE(file);
    }
    return NULL;
}

/* An unnamed file, which a program can read or write without this process having to attend. */
static int scratch_file(const char *text)
{
    int fd = memfd_create("kube-tunnel", MFD_CLOEXEC);

    if (fd >= 0 && text &&
        (!file_write_all(fd, str_of(text)) || lseek(fd, 0, SEEK_SET))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: it runs still, after this time. */
static bool has_ended(pid_t pid, int64_t ms, int *ret_status)
{
    AUTO(closep) int end = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = { .fd = end, .events = POLLIN };
    int64_t until = now_ms() + ms;

    for (;;) {
        int64_t left = until - now_ms();
        if (waitpid(pid, ret_status, WNOHANG) == pid)
            return true;
        if (left <= 0)
            return false;
        /* Before Linux 5.3 it has to look again. */
        poll(&p, 1, (int)(end < 0 && left > LOOK_MS ? LOOK_MS : left));
    }
}

static bool start(const char *const *words, int in, int err, pid_t *ret)
{
    posix_spawn_file_actions_t actions;

    if (posix_spawn_file_actions_init(&actions))
        return false;
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    errno = posix_spawnp(ret, words[0], &actions, NULL, (char *const *)words, environ);
    bool started = errno == 0;
    posix_spawn_file_actions_destroy(&actions);
    return started;
}

/* One that does not even end by SIGKILL waits for the kernel, and is left. */
static enum err await_end(const char *name, pid_t pid, int64_t ms, int *ret_status,
                          struct diag *why)
{
    if (has_ended(pid, ms, ret_status))
        return OK;
    kill(pid, SIGTERM);
    if (!has_ended(pid, GRACE_MS, ret_status)) {
        kill(pid, SIGKILL);
        (void)has_ended(pid, GRACE_MS, ret_status);
    }
    return diag_set(
        why, ERR_TIMEOUT,
        "%s: had not ended after %lld ms, and was stopped: run it to see what "
        "it waits for",
        name, (long long)ms);
}

/* The last line that has text. */
static void read_last_line(int fd, char ret[static OUTPUT_MAX])
{
    ssize_t n = pread(fd, ret, OUTPUT_MAX - 1, 0);
    size_t len = n > 0 ? (size_t)n : 0;

    while (len && (ret[len - 1] == '\n' || ret[len - 1] == ' '))
        len--;
    ret[len] = '\0';
    const char *newline = strrchr(ret, '\n');
    if (newline)
        memmove(ret, newline + 1, strlen(newline));
}

enum err program_run_within(const char *const *words, const char *input, int64_t ms,
                            struct diag *why)
{
    AUTO(closep) int in = scratch_file(input);
    AUTO(closep) int err = scratch_file(NULL);
    char line[OUTPUT_MAX];
    int status = 0;
    pid_t pid;

    if (in < 0 || err < 0 || !start(words, in, err, &pid))
        return diag_set(why, ERR_IO, "%s: %s", words[0], strerror(errno));
    enum err e = await_end(words[0], pid, ms, &status, why);
    if (e || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return e;
    read_last_line(err, line);
    if (WIFSIGNALED(status))
        return diag_set(why, ERR_IO, "%s: ended by signal %d", words[0],
                        WTERMSIG(status));
    return diag_set(why, ERR_IO, "%s: %s", words[0], line[0] ? line : "failed");
}

enum err program_run(const char *const *words, const char *input, struct diag *why)
{
    return program_run_within(words, input, DEADLINE_MS, why);
}
