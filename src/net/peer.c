#include "net/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "net/tcp.h"

/* When to look: at once, a moment later (a dying process closes in steps), then seldom. */
static const uint64_t pauses_ms[] = { 20, 200, 1000, 5000 };

struct ends {
    struct sockaddr_storage near, far;
};

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;

    if (a->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* errno says why not; 0: it is on another machine. */
static bool find_ends(int fd, struct ends *ret)
{
    socklen_t near = sizeof(ret->near), far = sizeof(ret->far);

    errno = 0;
    return getsockname(fd, (struct sockaddr *)&ret->near, &near) == 0 &&
           getpeername(fd, (struct sockaddr *)&ret->far, &far) == 0 &&
           is_loopback(&ret->far);
}

static void put_end(const struct sockaddr_storage *a, uint32_t address[static 4],
                    uint16_t *port)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;

    *port = a->ss_family == AF_INET ? v4->sin_port : v6->sin6_port;
    if (a->ss_family == AF_INET)
        memcpy(address, &v4->sin_addr, sizeof(v4->sin_addr));
    else
        memcpy(address, &v6->sin6_addr, sizeof(v6->sin6_addr));
}

/* The peer's socket, seen from its side. */
static struct question ask_about(const struct ends *e)
{
    struct question q = {
        .head = { .nlmsg_len = sizeof(q),
                  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                  .nlmsg_flags = NLM_F_REQUEST },
        .body = { .sdiag_family = (uint8_t)e->far.ss_family,
                  .sdiag_protocol = IPPROTO_TCP,
                  .idiag_states = UINT32_MAX },
    };
    put_end(&e->far, q.body.id.idiag_src, &q.body.id.idiag_sport);
    put_end(&e->near, q.body.id.idiag_dst, &q.body.id.idiag_dport);
    q.body.id.idiag_cookie[0] = q.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return q;
}

static bool answer_says_gone(const char *bytes, size_t len)
{
    const struct nlmsghdr *head = (const void *)bytes;
    const struct inet_diag_msg *found = NLMSG_DATA(head);

    if (!NLMSG_OK(head, len))
        return false;
    if (head->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(head);
        return error->error == -ENOENT;
    }
    return head->nlmsg_type == SOCK_DIAG_BY_FAMILY && found->idiag_inode == 0;
}

/* Netlink answers within the call; nothing here waits. */
static bool is_gone(int fd, bool *ret_reset)
{
    struct ends ends = { 0 };
    char bytes[512] __attribute__((aligned(NLMSG_ALIGNTO)));
    bool gone = false;

    if (!find_ends(fd, &ends)) {
        *ret_reset = errno == ENOTCONN; /* which nobody read yet */
        return *ret_reset;
    }
    int netlink =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    struct question q = ask_about(&ends);
    if (send(netlink, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
        ssize_t n = recv(netlink, bytes, sizeof(bytes), 0);
        gone = n > 0 && answer_says_gone(bytes, (size_t)n);
    }
    close(netlink);
    return gone;
}

static void look(struct peer_watch *w)
{
    size_t last = ARRAY_LEN(pauses_ms) - 1;

    if (is_gone(tcp_fd(w->stream), &w->reset)) {
        w->gone = true;
        task_wake(w->wake);
        return;
    }
    timer_set(&w->look, pauses_ms[w->looks < last ? w->looks : last]);
    w->looks++;
}

static void on_look(struct timer *timer)
{
    look(container_of(timer, struct peer_watch, look));
}

void peer_watch_start(struct peer_watch *w, const struct stream *tcp, struct task *wake)
{
    if (w->stream)
        return;
    *w = (struct peer_watch){ .stream = tcp, .wake = wake };
    timer_init(&w->look, wake->sched, on_look);
    look(w);
}

void peer_watch_stop(struct peer_watch *w)
{
    if (w->stream)
        timer_stop(&w->look);
    *w = (struct peer_watch){ 0 };
}
