/* net/listener.c - accepting connections; part of net/tcp.h */
#include <errno.h>
#include <unistd.h>

#define LOG_MODULE LOG_NET
#include "base/log.h"
#include "base/own.h"
#include "net/loop_uv.h"
#include "net/tcp.h"

#define ACCEPTS_PER_TURN 64
#define STARVED_MS 100 /* out of descriptors: look again after this */

struct listener {
    struct loop *loop;
    uv_poll_t poll;
    int fd;
    bool paused;  /* by the owner */
    bool starved; /* out of descriptors */
    bool said_so; /* ... since the last accepted connection */
    struct timer retry;
    void (*on_accept)(void *owner, int fd, const struct sockaddr *peer);
    void *owner;
};

static void on_incoming(uv_poll_t *poll, int status, int events);

static void derive_interest(struct listener *l)
{
    if (l->paused || l->starved)
        uv_poll_stop(&l->poll);
    else
        uv_poll_start(&l->poll, UV_READABLE, on_incoming);
}

static void on_retry(struct timer *timer)
{
    struct listener *l = container_of(timer, struct listener, retry);
    l->starved = false;
    derive_interest(l);
}

static bool is_starvation(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void starve(struct listener *l, int error)
{
    if (!l->said_so)
        log_warn(NO_ID, "accepting is paused: raise the limit on open files (ulimit -n)",
                 LOG_S("error", strerror(error)));
    l->starved = l->said_so = true;
    timer_set(&l->retry, STARVED_MS);
    derive_interest(l);
}

static void accept_all(struct listener *l)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->paused; i++) {
        struct sockaddr_storage peer = { 0 };
        struct sockaddr *sa = (struct sockaddr *)&peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(l->fd, sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->said_so = false;
            l->on_accept(l->owner, fd, sa);
        } else if (is_starvation(errno)) {
            starve(l, errno);
        }
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static void on_incoming(uv_poll_t *poll, int status, int events)
{
    struct listener *l = container_of(poll, struct listener, poll);
    (void)status;
    (void)events;
    loop_tick(l->loop);
    accept_all(l);
}

struct listener *listener_open(struct loop *loop, int fd,
                               void (*on_accept)(void *owner, int fd,
                                                 const struct sockaddr *peer),
                               void *owner)
{
    struct listener *l = xcalloc(1, sizeof(*l));

    tcp_set_options(fd); /* Linux gives them to each accepted one */
    l->loop = loop;
    l->fd = fd;
    l->on_accept = on_accept;
    l->owner = owner;
    timer_init(&l->retry, loop_sched(loop), on_retry);
    if (uv_poll_init(loop_uv(loop), &l->poll, fd))
        abort(); /* not a socket: ours to get right */
    derive_interest(l);
    return l;
}

void listener_pause(struct listener *l, bool paused)
{
    l->paused = paused;
    derive_interest(l);
}

int listener_fd(const struct listener *l)
{
    return l->fd;
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct listener, poll));
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    timer_stop(&l->retry);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
    l->fd = -1;
}
