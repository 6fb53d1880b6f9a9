#include "net/changes.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop_uv.h"

/* how often sleep is checked for; after sleep the overdue timer runs at once */
#define CHECK_MS 5000
#define SLEPT_MS 2000 /* a smaller difference is a clock's imprecision */

struct changes {
    struct loop *loop;
    struct task *wake;
    struct timer check;
    int64_t asleep_ms; /* time asleep since boot, at the last check */
    uv_poll_t poll;
    int fd; /* netlink; -1: none */
};

static int64_t changes_clock_ms(clockid_t id)
{
    struct timespec t = { 0 };
    clock_gettime(id, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t asleep_ms(void)
{
    return changes_clock_ms(CLOCK_BOOTTIME) - changes_clock_ms(CLOCK_MONOTONIC);
}

static void on_changes_check(struct timer *timer)
{
    struct changes *c = container_of(timer, struct changes, check);
    int64_t asleep = asleep_ms();

    if (asleep - c->asleep_ms > SLEPT_MS)
        task_wake(c->wake);
    c->asleep_ms = asleep;
    timer_set(&c->check, CHECK_MS);
}

/* The messages are not parsed: addresses change in bursts, and one wake-up serves for
 * all. */
static void on_address_change(uv_poll_t *poll, int status, int events)
{
    struct changes *c = container_of(poll, struct changes, poll);
    char room[8192];
    if (status < 0) /* the socket's buffer overflowed, and libuv has stopped polling */
        uv_poll_start(poll, UV_READABLE, on_address_change);
    (void)events;

    while (recv(c->fd, room, sizeof(room), MSG_DONTWAIT) > 0)
        ;
    task_wake(c->wake);
}

static int open_netlink(void)
{
    struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&groups, sizeof(groups))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void on_changes_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct changes, poll));
}

struct changes *changes_open(struct loop *l, struct task *wake)
{
    struct changes *c = xcalloc(1, sizeof(*c));

    c->loop = l;
    c->wake = wake;
    c->asleep_ms = asleep_ms();
    timer_init(&c->check, loop_sched(l), on_changes_check);
    timer_set(&c->check, CHECK_MS);
    c->fd = open_netlink();
    if (c->fd >= 0 && uv_poll_init(loop_uv(l), &c->poll, c->fd)) {
        close(c->fd);
        c->fd = -1;
    }
    if (c->fd >= 0)
        uv_poll_start(&c->poll, UV_READABLE, on_address_change);
    return c;
}

void changes_close(struct changes *c)
{
    if (!c)
        return;
    timer_stop(&c->check);
    if (c->fd < 0) {
        free(c);
        return;
    }
    uv_close((uv_handle_t *)&c->poll, on_changes_closed);
    close(c->fd);
}
