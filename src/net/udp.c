#include "net/udp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/own.h"
#include "net/address_socket.h"
#include "net/loop_uv.h"

struct udp {
    struct loop *loop;
    uv_poll_t poll;
    struct task receive;
    int fd;
    bool polled;    /* `poll` is open */
    bool receiving; /* on_datagram may be running */
    bool closed;    /* ... and has closed the socket */
    size_t limit, batch;
    size_t unsent; /* of `outgoing` */
    struct sockaddr_storage from[UDP_BATCH], to[UDP_BATCH];
    struct iovec in[UDP_BATCH], out[UDP_BATCH];
    struct mmsghdr incoming[UDP_BATCH], outgoing[UDP_BATCH];
    void (*on_datagram)(void *owner, const struct datagram *d);
    void *owner;
    uint8_t room[]; /* `batch` datagrams to receive, and as many to send */
};

static void flush_datagrams(struct udp *u)
{
    size_t sent = 0;

    /* A datagram that is refused (ECONNREFUSED of an earlier one, EAGAIN) is skipped. */
    while (sent < u->unsent) {
        int n = sendmmsg(u->fd, u->outgoing + sent, (unsigned)(u->unsent - sent),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 1;
    }
    u->unsent = 0;
}

static void deliver(struct udp *u, size_t count)
{
    for (size_t i = 0; i < count && !u->closed; i++) {
        const struct msghdr *h = &u->incoming[i].msg_hdr;
        const struct datagram d = {
            .at = u->in[i].iov_base,
            .len = u->incoming[i].msg_len,
            .cut = h->msg_flags & MSG_TRUNC,
            .from = h->msg_name,
            .from_len = h->msg_namelen,
        };
        u->on_datagram(u->owner, &d);
    }
}

/* False: no more are there. */
static bool receive_batch(struct udp *u)
{
    for (size_t i = 0; i < u->batch; i++)
        u->incoming[i].msg_hdr.msg_namelen = sizeof(u->from[i]);
    int n = recvmmsg(u->fd, u->incoming, (unsigned)u->batch, MSG_DONTWAIT, NULL);
    /* an error is one of an earlier datagram of ours, and has been taken by this call */
    if (n < 0)
        return errno != EAGAIN && errno != EBADF;
    deliver(u, (size_t)n);
    return (size_t)n == u->batch;
}

static void on_udp_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct udp, poll));
}

static void release_udp(struct udp *u)
{
    if (u->polled)
        uv_close((uv_handle_t *)&u->poll, on_udp_closed);
    else
        free(u);
}

static void on_receive(struct task *t)
{
    struct udp *u = container_of(t, struct udp, receive);
    bool more = true;

    u->receiving = true;
    for (int i = 0; i < UDP_BATCHES && more && !u->closed; i++) {
        more = receive_batch(u);
        if (!u->closed)
            flush_datagrams(u);
    }
    u->receiving = false;
    if (u->closed)
        release_udp(u);
    else if (more)
        task_yield(&u->receive);
}

static void on_udp_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    task_wake(&container_of(poll, struct udp, poll)->receive);
}

static void prepare_messages(struct udp *u)
{
    for (size_t i = 0; i < u->batch; i++) {
        u->in[i] = (struct iovec){ u->room + i * u->limit, u->limit };
        u->out[i] = (struct iovec){ u->room + (u->batch + i) * u->limit, 0 };
        u->incoming[i].msg_hdr = (struct msghdr){ .msg_name = &u->from[i],
                                                  .msg_iov = &u->in[i],
                                                  .msg_iovlen = 1 };
    }
}

struct udp *udp_open(struct loop *l, int fd, size_t limit, size_t batch,
                     void (*on_datagram)(void *owner, const struct datagram *d),
                     void *owner)
{
    assert(batch > 0 && batch <= UDP_BATCH);
    struct udp *u = xcalloc(1, sizeof(*u) + 2 * batch * limit);

    u->loop = l;
    u->fd = fd;
    u->limit = limit;
    u->batch = batch;
    u->on_datagram = on_datagram;
    u->owner = owner;
    prepare_messages(u);
    task_init(&u->receive, loop_sched(l), RANK_READ, on_receive);
    u->polled = uv_poll_init(loop_uv(l), &u->poll, fd) == 0;
    if (u->polled)
        uv_poll_start(&u->poll, UV_READABLE, on_udp_readable);
    return u;
}

void udp_close(struct udp *u)
{
    if (!u || u->closed)
        return;
    u->closed = true;
    task_cancel(&u->receive);
    if (u->polled)
        uv_poll_stop(&u->poll);
    flush_datagrams(u);
    close(u->fd);
    u->fd = -1;
    if (!u->receiving)
        release_udp(u);
}

void udp_send(struct udp *u, const struct sockaddr *to, socklen_t to_len,
              const uint8_t *bytes, size_t n)
{
    size_t i = u->unsent;

    assert(n <= u->limit && to_len <= sizeof(u->to[i]));
    if (u->closed)
        return;
    memcpy(u->out[i].iov_base, bytes, n);
    u->out[i].iov_len = n;
    if (to)
        memcpy(&u->to[i], to, to_len);
    u->outgoing[i].msg_hdr = (struct msghdr){ .msg_name = to ? &u->to[i] : NULL,
                                              .msg_namelen = to_len,
                                              .msg_iov = &u->out[i],
                                              .msg_iovlen = 1 };
    u->unsent++;
    if (!u->receiving || u->unsent == u->batch)
        flush_datagrams(u);
}

static enum err open_udp(const struct sockaddr *sa, socklen_t len, bool to, int *ret_fd,
                         struct diag *why)
{
    int fd;

    enum err e = address_socket(sa, SOCK_DGRAM, &fd, why);
    if (e)
        return e;
    if ((to ? connect(fd, sa, len) : bind(fd, sa, len)) != 0)
        return address_socket_failed(sa, fd, why);
    *ret_fd = fd;
    return OK;
}

enum err udp_socket(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                    struct diag *why)
{
    return open_udp(sa, len, false, ret_fd, why);
}

enum err udp_socket_to(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                       struct diag *why)
{
    return open_udp(sa, len, true, ret_fd, why);
}
