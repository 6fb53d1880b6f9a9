/* bench/load/burst.c - how long a burst of new connections takes until all of it works */
#include "bench/load/burst.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/client.h"

static enum err dial(const struct plan *p, struct pollfd *ret)
{
    int fd = socket(p->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *ret = (struct pollfd){ .fd = fd, .events = POLLOUT };
    if (fd < 0)
        return ERR_IO;
    if (connect(fd, (const struct sockaddr *)&p->address, p->address_len) == 0 ||
        errno == EINPROGRESS)
        return OK;
    return ERR_RESET;
}

/* It is connected: sends its byte, and from then on waits for the echo. */
static enum err send_byte(struct pollfd *c)
{
    c->events = POLLIN;
    return send(c->fd, "\1", 1, MSG_NOSIGNAL) == 1 ? OK : ERR_RESET;
}

/* Receives its byte, and removes the connection from poll. */
static enum err receive_byte(struct pollfd *c)
{
    char byte = 0;

    c->events = 0;
    return recv(c->fd, &byte, 1, 0) == 1 && byte == 1 ? OK : ERR_RESET;
}

static enum err step(struct pollfd *c, size_t *left)
{
    if (c->revents & (POLLERR | POLLHUP | POLLNVAL))
        return ERR_RESET;
    if (c->revents & POLLOUT)
        return send_byte(c);
    if (!(c->revents & POLLIN))
        return OK;
    --*left;
    return receive_byte(c);
}

static enum err wait_for_echoes(struct pollfd *all, size_t count, uint64_t until)
{
    size_t left = count;
    enum err e = OK;

    while (!e && left > 0) {
        if (monotonic_ns() > until)
            return ERR_TIMEOUT;
        int n = poll(all, count, 100);
        for (size_t i = 0; n > 0 && !e && i < count; i++)
            e = step(&all[i], &left);
    }
    return e;
}

static enum err burst_once(const struct plan *p, struct pollfd *all, size_t count,
                           uint64_t *ret_ns)
{
    uint64_t began = monotonic_ns();
    size_t dialled = 0;
    enum err e = OK;

    while (!e && dialled < count)
        e = dial(p, &all[dialled++]);
    if (!e)
        e = wait_for_echoes(all, count, began + p->patience_ns);
    *ret_ns = monotonic_ns() - began;
    for (size_t i = 0; i < dialled; i++)
        close(all[i].fd);
    return e;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
                          .tv_nsec = (long)(ns % 1000000000) };
    nanosleep(&t, NULL);
}

enum err burst_run(const struct plan *p, size_t count, size_t times, uint64_t *ret_ns)
{
    AUTO_FREE struct pollfd *all = xcalloc(count, sizeof(*all));
    enum err e = OK;

    for (size_t i = 0; !e && i < times; i++) {
        if (i > 0)
            sleep_ns(p->settle_ns);
        e = burst_once(p, all, count, &ret_ns[i]);
    }
    return e;
}
