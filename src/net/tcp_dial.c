#include "net/tcp_dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop_uv.h"
#include "net/tcp.h"

struct tcp_attempt {
    /* NULL: tcp_dial_finish was called, and the handle is closing */
    struct tcp_dial *owner;
    struct loop *loop;
    uv_poll_t poll;
    struct timer deadline;
    int fd;
    char text[ADDRESS_TEXT];
};

static void tcp_dial_on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct tcp_attempt, poll));
}

/* Ends the attempt; its memory is freed with libuv's handle.  Returns the descriptor,
 * which the caller owns. */
static int attempt_end(struct tcp_attempt *a)
{
    int fd = a->fd;

    a->owner->attempt = NULL;
    timer_stop(&a->deadline);
    uv_close((uv_handle_t *)&a->poll, tcp_dial_on_closed);
    return fd;
}

static void tcp_dial_fail(struct tcp_dial *d, const char *text, int error)
{
    enum err e = error == EMFILE || error == ENFILE ? ERR_NO_FILES : ERR_CONNECT;

    d->result = diag_set(&d->why, e, "%s: %s", text, strerror(error));
}

/* Sets the result of connecting: 0 or an errno.  Takes over the descriptor. */
static void tcp_dial_settle(struct tcp_dial *d, struct loop *l, int fd, const char *text,
                            int error)
{
    if (error && error != ECONNREFUSED) {
        tcp_dial_fail(d, text, error);
        close(fd);
        return;
    }
    d->stream = tcp_open(l, fd, 0, 0);
    d->result = OK;
    if (!error)
        return;
    diag_set(&d->why, ERR_REFUSED, "%s: %s", text, strerror(error));
    stream_end(d->stream, V_REFUSED, d->why.text);
    stream_update(d->stream);
}

/* Keep-alive, so that a pod that vanished is noticed also while nothing is sent to it. */
static void tcp_dial_set_keepalive(int fd)
{
    int on = 1, idle = 30, every = 10, count = 3;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void tcp_dial_on_writable(uv_poll_t *poll, int status, int events)
{
    struct tcp_attempt *a = container_of(poll, struct tcp_attempt, poll);
    struct tcp_dial *d = a->owner;
    int error = 0;
    socklen_t len = sizeof(error);

    (void)events;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len))
        error = errno;
    if (status < 0 && !error)
        error = -status;
    loop_tick(a->loop);
    tcp_dial_settle(d, a->loop, attempt_end(a), a->text, error);
    task_wake(d->wake);
}

static void tcp_dial_on_deadline(struct timer *timer)
{
    struct tcp_attempt *a = container_of(timer, struct tcp_attempt, deadline);
    struct tcp_dial *d = a->owner;

    d->result = diag_set(&d->why, ERR_CONNECT, "%s: no answer", a->text);
    close(attempt_end(a));
    task_wake(d->wake);
}

static void tcp_dial_wait(struct tcp_dial *d, struct loop *l, int fd, uint64_t ms,
                          const char *text)
{
    struct tcp_attempt *a = xcalloc(1, sizeof(*a));
    int error = -uv_poll_init(loop_uv(l), &a->poll, fd);

    if (error) {
        tcp_dial_fail(d, text, error);
        close(fd);
        free(a);
        return;
    }
    a->owner = d;
    a->loop = l;
    a->fd = fd;
    snprintf(a->text, sizeof(a->text), "%s", text);
    timer_init(&a->deadline, loop_sched(l), tcp_dial_on_deadline);
    timer_set(&a->deadline, ms);
    uv_poll_start(&a->poll, UV_WRITABLE, tcp_dial_on_writable);
    d->attempt = a;
}

void tcp_dial_start(struct tcp_dial *d, struct loop *l, const struct sockaddr_storage *to,
                    uint64_t timeout_ms, struct task *wake)
{
    char text[ADDRESS_TEXT];
    socklen_t len = to->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                             : sizeof(struct sockaddr_in6);
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *d = (struct tcp_dial){ .result = ERR_AGAIN, .wake = wake };
    address_text((const struct sockaddr *)to, text);
    if (fd < 0) {
        tcp_dial_fail(d, text, errno);
        return;
    }
    tcp_dial_set_keepalive(fd);
    int error = connect(fd, (const struct sockaddr *)to, len) ? errno : 0;
    if (error == EINPROGRESS)
        tcp_dial_wait(d, l, fd, timeout_ms, text);
    else
        tcp_dial_settle(d, l, fd, text, error);
}

void tcp_dial_finish(struct tcp_dial *d)
{
    if (d->attempt)
        close(attempt_end(d->attempt));
    stream_close(TAKE(d->stream));
    d->result = OK;
}
