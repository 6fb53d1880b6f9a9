/* net/listener.c - accepting connections; part of net/tcp.h */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/loop_uv.h"
#include "net/sock_diag.h"
#include "net/tcp.h"

LOG_MODULE(net);

#define ACCEPTS_PER_TURN 64
#define BACKLOG_MAX 4096      /* no kernel keeps more by default (net.core.somaxconn) */
#define STARVED_MS 100        /* out of descriptors: accept again after this */
#define LOG_INTERVAL_MS 10000 /* between two log lines about it */

struct listener {
    struct loop *loop;
    uv_poll_t poll;
    int fd;
    bool polled;        /* `poll` is open */
    bool paused;        /* by the owner */
    bool starved;       /* out of descriptors */
    uint64_t logged_at; /* when that was logged; 0: never */
    struct timer retry;
    void (*on_accept)(void *owner, int fd, const struct sockaddr *peer);
    bool (*free_one)(void *owner);       /* NULL: nothing can be */
    void (*refuse)(void *owner, int fd); /* likewise */
    void *owner;
};

static void on_incoming(uv_poll_t *poll, int status, int events);

static void listener_derive_interest(struct listener *l)
{
    if (!l->polled)
        return;
    if (l->paused || l->starved)
        uv_poll_stop(&l->poll);
    else
        uv_poll_start(&l->poll, UV_READABLE, on_incoming);
}

static void start_polling(struct listener *l);

static void on_retry(struct timer *timer)
{
    struct listener *l = container_of(timer, struct listener, retry);
    l->starved = false;
    start_polling(l);
}

static bool is_starvation(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void log_starved(struct listener *l, int error, const char *consequence)
{
    uint64_t now = loop_sched(l->loop)->now;

    if (l->logged_at && now - l->logged_at < LOG_INTERVAL_MS)
        return;
    l->logged_at = now;
    log_warn(NO_ID,
             error == ENOSPC
                 ? "out of epoll watches: raise fs.epoll.max_user_watches (sysctl)"
                 : "out of descriptors: raise the limit on open files (ulimit -n)",
             LOG_S("clients", consequence), LOG_S("error", strerror(error)));
}

static void starve(struct listener *l, int error)
{
    log_starved(l, error, "wait");
    l->starved = true;
    timer_set(&l->retry, STARVED_MS);
    listener_derive_interest(l);
}

static bool has_reserve(struct listener *l)
{
    int *reserve = loop_reserve(l->loop);

    if (*reserve < 0)
        *reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return l->refuse && *reserve >= 0;
}

/* Accept one client on the reserve descriptor and refuse it.  False: none was waiting.  accept
 * fails with EMFILE without a free descriptor even when no client waits. */
static bool refuse_on_reserve(struct listener *l, int error)
{
    int *reserve = loop_reserve(l->loop);

    close(*reserve);
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        log_starved(l, error, "are refused");
        l->refuse(l->owner, fd);
    }
    *reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* Is there a chance that the next call succeeds? */
static bool recover(struct listener *l, int error)
{
    if (error == ECONNABORTED || error == EINTR)
        return true;
    if (!is_starvation(error))
        return false;
    if (l->free_one && l->free_one(l->owner))
        return true;
    if (has_reserve(l))
        return refuse_on_reserve(l, error);
    starve(l, error);
    return false;
}

static void accept_clients(struct listener *l, int most)
{
    for (int i = 0; i < most && !l->paused; i++) {
        struct sockaddr_storage peer = { 0 };
        struct sockaddr *sa = (struct sockaddr *)&peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(l->fd, sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->on_accept(l->owner, fd, sa);
        } else if (!recover(l, errno)) {
            return;
        }
    }
}

static void on_incoming(uv_poll_t *poll, int status, int events)
{
    struct listener *l = container_of(poll, struct listener, poll);
    (void)status;
    (void)events;
    loop_tick(l->loop);
    accept_clients(l, ACCEPTS_PER_TURN);
}

void listener_accept_waiting(struct listener *l)
{
    accept_clients(l, BACKLOG_MAX);
}

/* ENOSPC: fs.epoll.max_user_watches; ENOMEM.  Either may be over in a moment. */
static void start_polling(struct listener *l)
{
    int error = l->polled ? 0 : -uv_poll_init(loop_uv(l->loop), &l->poll, l->fd);

    assert(error != EEXIST && error != EBADF);
    l->polled = error == 0;
    if (error)
        starve(l, error);
    else
        listener_derive_interest(l);
}

struct listener *listener_open(struct loop *loop, int fd,
                               void (*on_accept)(void *owner, int fd,
                                                 const struct sockaddr *peer),
                               void *owner)
{
    struct listener *l = xcalloc(1, sizeof(*l));

    tcp_set_options(fd); /* on Linux, accepted sockets inherit them */
    sock_diag_open(
        loop_sock_diag(loop)); /* now, so that peer_identify needs no descriptor later */
    l->loop = loop;
    l->fd = fd;
    l->on_accept = on_accept;
    l->owner = owner;
    timer_init(&l->retry, loop_sched(loop), on_retry);
    start_polling(l);
    return l;
}

void listener_on_shortage(struct listener *l, bool (*free_one)(void *owner),
                          void (*refuse)(void *owner, int fd))
{
    l->free_one = free_one;
    l->refuse = refuse;
}

void listener_pause(struct listener *l, bool paused)
{
    l->paused = paused;
    listener_derive_interest(l);
}

int listener_fd(const struct listener *l)
{
    return l->fd;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct listener, poll));
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    timer_stop(&l->retry);
    if (l->polled)
        uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
    l->fd = -1;
    if (!l->polled)
        free(l);
}
