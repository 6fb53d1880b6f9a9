/* net/process.c - run a program and collect its output
 *
 * Three handles: the process and the two pipes it writes to.  Each is closed when it has
 * ended, and the memory goes with the last one and the caller's process_close.  A program
 * that has ended may have left a descendant that holds the pipes open: they are given
 * DRAIN_MS, then closed.  A process that SIGKILL does not end (it waits in the kernel,
 * for a file system that hangs) is abandoned after REAP_MS.
 */
#include "net/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop_uv.h"

#define READ_SIZE 4096
#define DRAIN_MS 500
#define REAP_MS 2000
#define DESCENDANTS_MAX 64

struct process {
    struct process_result result;
    struct loop *loop;
    uv_process_t uv;
    uv_pipe_t output, errors;
    unsigned handles; /* open handles */
    bool exited, killed, closed;
    bool has_output, has_errors; /* the pipe is being read */
    bool terminal;
    enum err stopped; /* why it was stopped, or OK */
    size_t output_max, output_room;
    char *bytes; /* of standard output */
    char chunk[READ_SIZE];
    void (*on_stderr)(void *owner, struct str errors);
    void *owner;
    struct task *wake;
    struct timer deadline; /* of the next step: SIGKILL, or closing the pipes */
    uv_timer_t reap;       /* after process_close */
};

static void free_if_unused(struct process *p)
{
    if (p->handles || !p->closed)
        return;
    if (p->bytes)
        explicit_bzero(p->bytes, p->output_room);
    free(p->bytes);
    explicit_bzero(p->chunk, sizeof(p->chunk));
    free(p);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct process *p = handle->data;

    p->handles--;
    free_if_unused(p);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void close_pipe(uv_pipe_t *pipe, bool *is_read)
{
    if (!*is_read)
        return;
    *is_read = false;
    close_handle((uv_handle_t *)pipe);
}

static void close_pipes(struct process *p)
{
    close_pipe(&p->output, &p->has_output);
    close_pipe(&p->errors, &p->has_errors);
}

/* ---- signals ---- */

/* Processes whose parent is `pid`, appended to `pids`. */
static size_t add_children(int pid, int *pids, size_t count)
{
    AUTO_FREE char *path = xasprintf("/proc/%d/task/%d/children", pid, pid);
    FILE *children = fopen(path, "re");
    int child;

    if (!children)
        return count;
    while (count < DESCENDANTS_MAX && fscanf(children, "%d", &child) == 1)
        pids[count++] = child;
    fclose(children);
    return count;
}

/* A program on the terminal is in this process's own group, which must not get the
 * signal; so each descendant gets it separately. */
static void signal_family(const struct process *p, int signum)
{
    int pids[DESCENDANTS_MAX] = { p->uv.pid };
    size_t count = 1;

    for (size_t i = 0; i < count; i++)
        count = add_children(pids[i], pids, count);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], signum);
}

static void signal_group(const struct process *p, int signum)
{
    if (p->uv.pid <= 0)
        return;
    if (p->terminal)
        signal_family(p, signum);
    else
        kill(-p->uv.pid, signum);
}

/* ---- the end ---- */

static void conclude(struct process *p)
{
    struct process_result *r = &p->result;

    if (r->result != ERR_AGAIN)
        return;
    timer_stop(&p->deadline);
    close_pipes(p);
    r->output = (struct str){ p->bytes ? p->bytes : "", r->output.len };
    r->result = p->stopped;
    task_wake(p->wake);
}

static void conclude_if_done(struct process *p)
{
    if (p->exited && !p->has_output && !p->has_errors)
        conclude(p);
}

static void on_exit_status(uv_process_t *uv, int64_t status, int signum)
{
    struct process *p = uv->data;

    if ((p->stopped || p->closed) && !p->terminal)
        kill(-uv->pid, SIGKILL); /* descendants that ignored SIGTERM */
    p->exited = true;
    p->result.status = signum ? -1 : (int)status;
    p->result.signal = signum;
    close_handle((uv_handle_t *)uv);
    if (p->closed) {
        close_handle((uv_handle_t *)&p->reap);
        return;
    }
    loop_tick(p->loop);
    timer_set(&p->deadline, DRAIN_MS);
    conclude_if_done(p);
}

static void on_deadline(struct timer *t)
{
    struct process *p = container_of(t, struct process, deadline);

    if (p->exited || p->killed) {
        conclude(p);
        return;
    }
    p->killed = true;
    signal_group(p, SIGKILL);
    timer_set(&p->deadline, REAP_MS);
}

static void stop(struct process *p, enum err why)
{
    if (p->stopped || p->exited)
        return;
    p->stopped = why;
    signal_group(p, SIGTERM);
    timer_set(&p->deadline, PROCESS_GRACE_MS);
}

void process_stop(struct process *p)
{
    if (p->result.result == ERR_AGAIN)
        stop(p, diag_set(&p->result.why, ERR_TIMEOUT, "it was stopped"));
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct process *p = handle->data;

    (void)wanted;
    *buf = uv_buf_init(p->chunk, sizeof(p->chunk));
}

/* Not realloc: the output may hold a secret, which would remain in the freed memory. */
static void grow_output(struct process *p, size_t needed)
{
    size_t room = p->output_room ? p->output_room : READ_SIZE;

    while (room < needed)
        room *= 2;
    if (room == p->output_room)
        return;
    char *longer = xmalloc(room);
    if (p->bytes) {
        memcpy(longer, p->bytes, p->result.output.len);
        explicit_bzero(p->bytes, p->output_room);
    }
    free(p->bytes);
    p->bytes = longer;
    p->output_room = room;
}

static void keep_output(struct process *p, size_t n)
{
    size_t len = p->result.output.len;

    if (p->stopped)
        return;
    if (n > p->output_max - len) {
        stop(p, diag_set(&p->result.why, ERR_LIMIT, "it printed more than %zu KiB",
                         p->output_max >> 10));
        return;
    }
    grow_output(p, len + n);
    memcpy(p->bytes + len, p->chunk, n);
    p->result.output.len += n;
}

static void on_output(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct process *p = s->data;

    (void)buf;
    loop_tick(p->loop);
    if (n > 0)
        keep_output(p, (size_t)n);
    if (n >= 0)
        return;
    close_pipe(&p->output, &p->has_output);
    conclude_if_done(p);
}

static void on_stderr(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct process *p = s->data;

    (void)buf;
    loop_tick(p->loop);
    if (n > 0 && p->on_stderr)
        p->on_stderr(p->owner, (struct str){ p->chunk, (size_t)n });
    if (n >= 0)
        return;
    close_pipe(&p->errors, &p->has_errors);
    conclude_if_done(p);
}

/* ---- the beginning ---- */

/* libcurl and its resolver open descriptors without close-on-exec, so the flag is set on
 * all descriptors here, on the only thread that runs programs. */
static void keep_descriptors_to_ourselves(void)
{
#ifdef SYS_close_range
    const unsigned close_on_exec = 1u << 2;

    if (syscall(SYS_close_range, 3u, ~0u, close_on_exec) == 0)
        return;
#endif
    DIR *open = opendir("/proc/self/fd");
    for (const struct dirent *d; open && (d = readdir(open));)
        if (atoi(d->d_name) > 2)
            fcntl(atoi(d->d_name), F_SETFD, FD_CLOEXEC);
    if (open)
        closedir(open);
}

static void init_pipe(struct process *p, uv_pipe_t *pipe)
{
    uv_pipe_init(loop_uv(p->loop), pipe, 0);
    pipe->data = p;
    p->handles++;
}

static int spawn(struct process *p, const struct process_request *r)
{
    uv_stdio_container_t stdio[3] = {
        { .flags = r->terminal ? UV_INHERIT_FD : UV_IGNORE, .data.fd = STDIN_FILENO },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&p->output },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&p->errors },
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = r->path,
        .args = (char **)(uintptr_t)r->argv,
        .env = (char **)(uintptr_t)r->environment,
        .flags = r->terminal ? 0 : UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = ARRAY_LEN(stdio),
    };

    keep_descriptors_to_ourselves();
    p->handles++;
    return uv_spawn(loop_uv(p->loop), &p->uv, &options);
}

static enum err start_error(int uv)
{
    return uv == UV_ENOENT                      ? ERR_NOT_FOUND
           : uv == UV_EACCES                    ? ERR_ACCESS
           : uv == UV_EMFILE || uv == UV_ENFILE ? ERR_NO_FILES
                                                : ERR_IO;
}

static void start_reading(struct process *p)
{
    p->has_output = p->has_errors = true;
    if (uv_read_start((uv_stream_t *)&p->output, on_room, on_output))
        close_pipe(&p->output, &p->has_output);
    if (uv_read_start((uv_stream_t *)&p->errors, on_room, on_stderr))
        close_pipe(&p->errors, &p->has_errors);
}

static void fail_to_start(struct process *p, int uv)
{
    p->exited = p->has_output = p->has_errors = true;
    close_handle((uv_handle_t *)&p->uv);
    p->stopped = diag_set(&p->result.why, start_error(uv), "%s", uv_strerror(uv));
    conclude(p);
}

struct process *process_start(struct loop *l, const struct process_request *r,
                              struct task *wake)
{
    struct process *p = xcalloc(1, sizeof(*p));

    p->result = (struct process_result){ .result = ERR_AGAIN, .status = -1 };
    p->loop = l;
    p->terminal = r->terminal;
    p->output_max = r->output_max;
    p->on_stderr = r->on_stderr;
    p->owner = r->owner;
    p->wake = wake;
    timer_init(&p->deadline, loop_sched(l), on_deadline);
    init_pipe(p, &p->output);
    init_pipe(p, &p->errors);
    uv_timer_init(loop_uv(l), &p->reap);
    p->reap.data = p;
    p->handles++;
    p->uv.data = p;
    int uv = spawn(p, r);
    if (uv)
        fail_to_start(p, uv);
    else
        start_reading(p);
    return p;
}

const struct process_result *process_result(const struct process *p)
{
    return &p->result;
}

static void on_reap(uv_timer_t *t)
{
    struct process *p = t->data;

    close_handle((uv_handle_t *)t);
    close_handle((uv_handle_t *)&p->uv);
}

void process_close(struct process *p)
{
    if (!p)
        return;
    timer_stop(&p->deadline);
    if (!p->exited)
        signal_group(p, SIGKILL);
    p->closed = true;
    p->on_stderr = NULL;
    close_pipes(p);
    if (p->exited)
        close_handle((uv_handle_t *)&p->reap);
    else
        uv_timer_start(&p->reap, on_reap, REAP_MS, 0);
    free_if_unused(p);
}

bool process_has_terminal(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}
