/* exec/keeper.c - a process beside the command that ends with it */
#include "exec/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

/* --- descriptors --- */

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void close_between(int from, int to)
{
    if (from <= to)
        close_range((unsigned)from, (unsigned)to, 0);
}

/* A pipe of the command must have no other holder: its reader waits for the end. */
static void close_others(const struct keeper *k, int ended)
{
    int *kept = xcalloc(k->kept_count + 1, sizeof(*kept)), next = 0;

    if (k->kept_count)
        memcpy(kept, k->kept, k->kept_count * sizeof(*kept));
    kept[k->kept_count] = ended;
    qsort(kept, k->kept_count + 1, sizeof(*kept), compare_fds);
    for (size_t i = 0; i <= k->kept_count; i++) {
        close_between(next, kept[i] - 1);
        next = kept[i] + 1;
    }
    close_range((unsigned)next, ~0u, 0);
    free(kept);
    while (open("/dev/null", O_RDWR) < STDERR_FILENO)
        ;
}

/* --- processes --- */

static void reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    for (int signum = 1; signum < SIGRTMIN; signum++)
        signal(signum, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void be_keeper(const struct keeper *k, int ended)
{
    prctl(PR_SET_NAME, "kube-tunnel");
    reset_signals();
    close_others(k, ended);
    if (chdir("/") == 0)
        k->run(k->owner, ended);
    _exit(0);
}

/* The child ends at once, so that the keeper is a child of init: a command that waits for its
 * children does not find it. */
static void be_child(const struct keeper *k, int ended)
{
    setsid();
    pid_t pid = fork();

    if (pid == 0)
        be_keeper(k, ended);
    _exit(pid < 0);
}

enum err keeper_fork(const struct keeper *k, struct diag *why)
{
    int status = 0;
    int ended = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (ended < 0)
        return diag_set(why, errno == ENOSYS ? ERR_UNSUPPORTED : ERR_IO,
                        "cannot watch a process: %s; Linux 5.3 or newer is needed",
                        strerror(errno));
    pid_t child = fork();
    if (child == 0)
        be_child(k, ended);
    close(ended);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child < 0 || status)
        return diag_set(why, ERR_IO, "cannot start a process: %s", strerror(errno));
    return OK;
}
