#include "net/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop_uv.h"
#include "net/sock_diag.h"
#include "net/tcp.h"

/* The pauses before checks: first short, because a dying process closes its sockets one
 * by one, then longer. */
static const uint64_t pauses_ms[] = { 20, 200, 1000, 5000 };

/* Are both ends of the connection on this machine?  A connection to 127.0.0.1 may come
 * from another address of the machine. */
static bool is_local(const struct sockaddr *near, const struct sockaddr *far)
{
    return address_is_loopback(far) || address_is_loopback(near);
}

static struct sock_ends ends_of(const struct sockaddr *near, const struct sockaddr *far)
{
    return (struct sock_ends){ .near = address_plain(near), .far = address_plain(far) };
}

static bool near_address(int fd, struct sockaddr_storage *ret)
{
    socklen_t len = sizeof(*ret);
    return getsockname(fd, (struct sockaddr *)ret, &len) == 0;
}

static bool far_address(int fd, struct sockaddr_storage *ret)
{
    socklen_t len = sizeof(*ret);
    return getpeername(fd, (struct sockaddr *)ret, &len) == 0;
}

static struct peer peer_with(enum err e, uint32_t uid)
{
    if (e || uid == UID_UNMAPPED)
        return (struct peer){ .kind = PEER_UNKNOWN };
    return (struct peer){ .kind = PEER_LOCAL, .uid = uid };
}

static struct peer unix_peer(int fd)
{
    struct ucred process = { 0 };
    socklen_t len = sizeof(process);
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &len) == 0;

    return peer_with(known ? OK : ERR_IO, process.uid);
}

struct peer peer_identify(struct loop *l, int fd, const struct sockaddr *far)
{
    struct sockaddr_storage near = { 0 };

    if (far->sa_family != AF_INET && far->sa_family != AF_INET6)
        return unix_peer(fd);
    if (!near_address(fd, &near))
        return (struct peer){ .kind = PEER_UNKNOWN };
    if (!is_local((struct sockaddr *)&near, far))
        return (struct peer){ .kind = PEER_REMOTE };
    return peer_identify_local(l, fd, far);
}

struct peer peer_identify_local(struct loop *l, int fd, const struct sockaddr *far)
{
    struct sockaddr_storage near = { 0 };
    struct sock_facts facts = { 0 };

    if (!near_address(fd, &near))
        return (struct peer){ .kind = PEER_UNKNOWN };
    struct sock_ends ends = ends_of((struct sockaddr *)&near, far);
    enum err e = sock_diag_query(loop_sock_diag(l), &ends, &facts);
    if (!e && facts.inode == 0)
        e = ERR_GONE; /* older kernels return uid 0 then */
    return peer_with(e, facts.uid);
}

/* In both cases no process has it open. */
static bool answer_is_gone(enum err e, const struct sock_facts *facts)
{
    return e == ERR_NOT_FOUND || (!e && facts->inode == 0);
}

static bool is_gone(int fd, bool *ret_reset)
{
    struct sockaddr_storage near = { 0 }, far = { 0 };
    struct sock_diag diag = SOCK_DIAG_CLOSED;
    struct sock_facts facts = { 0 };

    if (!near_address(fd, &near) || !far_address(fd, &far)) {
        /* the received bytes that were not read are lost */
        *ret_reset = errno == ENOTCONN;
        return *ret_reset;
    }
    if (!is_local((struct sockaddr *)&near, (struct sockaddr *)&far))
        return false;
    struct sock_ends ends = ends_of((struct sockaddr *)&near, (struct sockaddr *)&far);
    enum err e = sock_diag_query(&diag, &ends, &facts);
    sock_diag_close(&diag);
    return answer_is_gone(e, &facts);
}

static void peer_look(struct peer_watch *w)
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

static void on_peer_look(struct timer *timer)
{
    peer_look(container_of(timer, struct peer_watch, look));
}

void peer_watch_start(struct peer_watch *w, const struct stream *tcp, struct task *wake)
{
    if (w->stream)
        return;
    *w = (struct peer_watch){ .stream = tcp, .wake = wake };
    timer_init(&w->look, wake->sched, on_peer_look);
    peer_look(w);
}

void peer_watch_stop(struct peer_watch *w)
{
    if (w->stream)
        timer_stop(&w->look);
    *w = (struct peer_watch){ 0 };
}
