/* base/program.c - run a program and wait for it */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"

#define OUTPUT_MAX 4096

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

static bool run_and_wait(const char *const *words, int in, int err, int *ret_status)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;

    if (posix_spawn_file_actions_init(&actions))
        return false;
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    errno = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)words, environ);
    bool started = errno == 0;
    posix_spawn_file_actions_destroy(&actions);
    while (started && waitpid(pid, ret_status, 0) < 0)
        if (errno != EINTR)
            return false;
    return started;
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

enum err program_run(const char *const *words, const char *input, struct diag *why)
{
    AUTO(closep) int in = scratch_file(input);
    AUTO(closep) int err = scratch_file(NULL);
    char line[OUTPUT_MAX];
    int status = 0;

    if (in < 0 || err < 0 || !run_and_wait(words, in, err, &status))
        return diag_set(why, ERR_IO, "%s: %s", words[0], strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return OK;
    read_last_line(err, line);
    if (WIFSIGNALED(status))
        return diag_set(why, ERR_IO, "%s: ended by signal %d", words[0],
                        WTERMSIG(status));
    return diag_set(why, ERR_IO, "%s: %s", words[0], line[0] ? line : "failed");
}
