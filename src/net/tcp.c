/* net/tcp.c - sockets under a stream
 *
 * uv_poll and not uv_tcp: we read straight into chunks and write straight from them, with
 * readv and writev, and an event is requested from the kernel only when the last call
 * returned EAGAIN or there is something to wait for.  uv_close calls back in a later
 * turn; the descriptor is closed at once, the memory goes with the handle.
 */
#include "net/tcp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/address_socket.h"
#include "net/loop_uv.h"

LOG_MODULE(net);

#define READS_PER_TURN 16 /* then other streams get their turn */
#define READ_IOV 4        /* chunks per read, after one chunk was not enough */
#define WRITE_IOV 64

/* What is read in one turn must be buffered if the user stops taking bytes.  So the limit
 * of `in` is one TLS record at first, and grows by a chunk after each 24 rounds in which
 * it was filled and then taken (except for the beginning of another record). */
#define IN_FIRST (17 * 1024)
#define ROUNDS_TO_GROW 24
/* between checks for bytes that were not acknowledged in time */
#define SILENCE_CHECK_MS 100
/* after a longer pause the limit of `in` is IN_FIRST again */
#define SHRINK_MS 250

/* TCP_NOTSENT_LOWAT: the kernel buffers at most this much unsent, so a slow reader holds
 * little memory here. */
#define UNSENT_MAX (256 * 1024)

struct tcp {
    struct stream stream;
    uv_poll_t poll;
    int fd;
    int poll_error;     /* it cannot be polled: `poll` is not open */
    int interest;       /* the events requested from uv_poll */
    bool write_blocked; /* the last write returned EAGAIN */
    bool plenty;        /* the last read filled all its room */
    bool unread;        /* bytes may be waiting: just accepted, or memory is tight */
    struct task flush;
    size_t in_most;     /* maximum of in.limit */
    unsigned rounds;    /* rounds in which `in` was filled, and taken before the next */
    bool filled;        /* in the last round */
    uint64_t paused_at; /* 0: not paused */
    uint64_t patience_ms;
    /* runs while patience_ms is set and bytes may be unacknowledged */
    struct timer silence;
};

static struct tcp *tcp_of(struct stream *s)
{
    return container_of(s, struct tcp, stream);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* The only place that derives which events to poll for. */
static void derive_interest(struct tcp *t)
{
    const struct stream *s = &t->stream;
    int want = 0;

    if (t->poll_error)
        return;
    if (!s->in_eof && !s->paused && !bufq_full(&s->in))
        want |= UV_READABLE;
    if (!s->broken && t->write_blocked)
        want |= UV_WRITABLE;
    if (want == t->interest)
        return;
    t->interest = want;
    if (want)
        uv_poll_start(&t->poll, want, on_poll);
    else
        uv_poll_stop(&t->poll);
}

static void break_stream(struct tcp *t, int error)
{
    t->write_blocked = false;
    stream_end(&t->stream, V_RESET, strerror(error));
}

/* Returns the result of recvmsg; -2 when it got less than the room, so nothing more is
 * waiting and a further call, which would return EAGAIN, is saved.  Under load it reads
 * into several chunks at once: each call may send a window update to the far end, which
 * costs as much as reading. */
static ssize_t read_some(struct tcp *t)
{
    struct bufq *in = &t->stream.in;
    struct iovec iov[READ_IOV];
    struct msghdr message = { .msg_iov = iov };
    size_t room;

    message.msg_iovlen = bufq_reserve_iov(in, iov, t->plenty ? READ_IOV : 1, &room);
    ssize_t n = room ? recvmsg(t->fd, &message, 0) : -1;
    if (!room)
        errno = EAGAIN;
    if (n > 0)
        bufq_commit(in, (size_t)n);
    bufq_settle(in);
    t->plenty = n > 0 && (size_t)n == room;
    return n > 0 && !t->plenty ? -2 : n;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Before a round of reading: raises the limit if the bytes of the last round were
 * taken. */
static void grow(struct tcp *t)
{
    struct bufq *in = &t->stream.in;

    if (!t->filled)
        return;
    t->rounds = in->len < CHUNK_ROOM ? t->rounds + 1 : 0;
    if (t->rounds < ROUNDS_TO_GROW)
        return;
    t->rounds = 0;
    in->limit = min(in->limit + CHUNK_ROOM, t->in_most);
}

static void shrink(struct tcp *t)
{
    uint64_t now = t->flush.sched->now;
    bool was_long = t->paused_at && now - t->paused_at >= SHRINK_MS;

    if (t->stream.paused && !t->paused_at) {
        t->paused_at = now;
        bufq_pack(&t->stream.in);
    }
    if (t->stream.paused)
        return;
    t->paused_at = 0;
    if (was_long)
        t->stream.in.limit = min(IN_FIRST, t->in_most);
}

static void read_all(struct tcp *t)
{
    struct stream *s = &t->stream;
    size_t before = s->in.len;

    grow(t);
    for (int i = 0; i < READS_PER_TURN && !s->in_eof && !bufq_full(&s->in); i++) {
        ssize_t n = read_some(t);
        if (n == 0)
            stream_end(s, V_CLEAN, NULL);
        else if (n == -1 && errno != EAGAIN && errno != EINTR)
            break_stream(t, errno);
        if (n <= 0)
            break;
    }
    t->filled = bufq_full(&s->in);
    if (s->in.len != before)
        task_wake(s->wake);
}

/* A write has failed: bytes that the far end sent before are still read. */
static void break_writing(struct tcp *t, int error)
{
    while (!t->stream.in_eof && read_some(t) > 0)
        ;
    break_stream(t, error);
}

static void flush(struct tcp *t)
{
    struct stream *s = &t->stream;
    struct iovec iov[WRITE_IOV];
    bool wrote = false;

    while (!bufq_empty(&s->out) && !s->broken && !t->write_blocked) {
        size_t n = bufq_iov(&s->out, iov, WRITE_IOV);
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = n };
        ssize_t sent = sendmsg(t->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            bufq_skip(&s->out, (size_t)sent);
            wrote = true;
        } else if (errno == EAGAIN) {
            t->write_blocked = true;
        } else if (errno != EINTR) {
            break_writing(t, errno);
        }
    }
    if (s->shut && !s->out_eof && !s->broken && bufq_empty(&s->out)) {
        shutdown(t->fd, SHUT_WR);
        s->out_eof = true;
        wrote = true;
    }
    if (wrote)
        task_wake(s->wake);
    if (wrote && t->patience_ms && !t->silence.at)
        timer_set(&t->silence, t->patience_ms);
    stream_set_stuck(s, t->write_blocked);
}

static void on_flush(struct task *task)
{
    struct tcp *t = container_of(task, struct tcp, flush);

    if (t->poll_error && !t->stream.broken)
        break_stream(t, t->poll_error);
    if (t->unread && !t->stream.paused && !t->poll_error) {
        t->unread = false;
        read_all(t);
        task_wake(task); /* runs after the reader, which makes room */
        return;
    }
    flush(t);
    shrink(t);
    derive_interest(t);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct tcp *t = container_of(poll, struct tcp, poll);

    if (status < 0) { /* an error is pending, and libuv has stopped polling */
        t->interest = 0;
        t->write_blocked = false;
    }
    if (status < 0 || ((events & UV_READABLE) && !chunk_pool_is_tight(t->stream.in.pool)))
        read_all(t);
    else if (events & UV_READABLE)
        /* read again after the tasks woken before this one have released memory */
        t->unread = true;
    if (events & UV_WRITABLE)
        t->write_blocked = false;
    task_wake(&t->flush);
}

/* Has nothing been acknowledged for `ms`, and at least one retransmission time-out
 * passed?  Then the bytes were sent again, and before that by a tail loss probe. */
static bool is_silent(const struct stream *s, uint64_t ms)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);

    if (getsockopt(tcp_fd(s), IPPROTO_TCP, TCP_INFO, &info, &len))
        return false;
    return info.tcpi_retransmits >= 1 && info.tcpi_last_ack_recv >= ms;
}

static void tcp_on_silence(struct timer *timer)
{
    struct tcp *t = container_of(timer, struct tcp, silence);
    struct stream *s = &t->stream;

    if (s->broken || !t->patience_ms || tcp_queued(s) == 0)
        return;
    if (!is_silent(s, t->patience_ms)) {
        timer_set(timer, min(t->patience_ms, SILENCE_CHECK_MS));
        return;
    }
    t->write_blocked = false;
    stream_end(s, V_TRANSPORT_LOST, "no packet was acknowledged");
    task_wake(&t->flush);
}

static void tcp_set_patience(struct stream *s, uint64_t ms)
{
    tcp_of(s)->patience_ms = ms;
}

static void tcp_update(struct stream *s)
{
    task_wake(&tcp_of(s)->flush);
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct tcp, poll));
}

static void tcp_leave(struct stream *s, bool reset)
{
    struct tcp *t = tcp_of(s);
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    s->wake = NULL;
    if (!reset)
        flush(t); /* as much as the kernel takes at once: a last close_notify */
    task_cancel(&t->flush);
    timer_stop(&t->silence);
    stream_finish(s);
    if (reset)
        setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (!t->poll_error)
        uv_close((uv_handle_t *)&t->poll, on_closed);
    close(t->fd);
    t->fd = -1;
    if (t->poll_error)
        free(t);
}

static void tcp_close(struct stream *s)
{
    tcp_leave(s, false);
}

static void tcp_abort(struct stream *s)
{
    tcp_leave(s, true);
}

static const struct stream_ops tcp_ops = {
    .update = tcp_update,
    .close = tcp_close,
    .abort = tcp_abort,
    .half_close = true,
    .set_patience = tcp_set_patience,
};

void tcp_set_options(int fd)
{
    int on = 1, unsent = UNSENT_MAX;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

static struct tcp *adopt(struct loop *l, int fd, size_t in_limit, size_t out_limit)
{
    struct tcp *t = xcalloc(1, sizeof(*t));

    t->in_most = in_limit ? in_limit : TCP_IN_LIMIT;
    stream_init(&t->stream, &tcp_ops, loop_pool(l), min(IN_FIRST, t->in_most),
                out_limit ? out_limit : TCP_OUT_LIMIT);
    task_init(&t->flush, loop_sched(l), RANK_FLUSH, on_flush);
    timer_init(&t->silence, loop_sched(l), tcp_on_silence);
    t->fd = fd;
    /* Sets O_NONBLOCK.  ENOSPC: fs.epoll.max_user_watches; ENOMEM. */
    t->poll_error = -uv_poll_init(loop_uv(l), &t->poll, fd);
    assert(t->poll_error != EEXIST && t->poll_error != EBADF);
    derive_interest(t);
    if (t->poll_error)
        task_wake(&t->flush);
    return t;
}

struct stream *tcp_open(struct loop *l, int fd, size_t in_limit, size_t out_limit)
{
    tcp_set_options(fd);
    return &adopt(l, fd, in_limit, out_limit)->stream;
}

struct stream *tcp_open_accepted(struct loop *l, int fd)
{
    struct tcp *t = adopt(l, fd, 0, 0);

    t->unread = true;
    task_wake(&t->flush);
    return &t->stream;
}

int tcp_fd(const struct stream *s)
{
    s = stream_bottom(s);
    return s->ops == &tcp_ops ? container_of(s, const struct tcp, stream)->fd : -1;
}

size_t tcp_queued(const struct stream *s)
{
    int queued = 0;

    return ioctl(tcp_fd(s), SIOCOUTQ, &queued) == 0 && queued > 0 ? (size_t)queued : 0;
}

bool tcp_is_unanswered(const struct stream *s, uint64_t ms)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);

    if (getsockopt(tcp_fd(s), IPPROTO_TCP, TCP_INFO, &info, &len))
        return false;
    return info.tcpi_retransmits + info.tcpi_probes >= 2 && info.tcpi_last_ack_recv >= ms;
}

enum err listen_socket(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                       struct diag *why)
{
    return listen_socket_on(sa, len, NULL, ret_fd, why);
}

static bool bind_on(int fd, const struct sockaddr *sa, socklen_t len, const char *device)
{
    if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
                             (socklen_t)strlen(device) + 1)) {
        errno = errno == EPERM ? EACCES : errno;
        return false;
    }
    return bind(fd, sa, len) == 0;
}

enum err listen_socket_on(const struct sockaddr *sa, socklen_t len, const char *device,
                          int *ret_fd, struct diag *why)
{
    int fd, on = 1;

    enum err e = address_socket(sa, SOCK_STREAM, &fd, why);
    if (e)
        return e;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!bind_on(fd, sa, len, device) || listen(fd, SOMAXCONN) != 0)
        return address_socket_failed(sa, fd, why);
    *ret_fd = fd;
    return OK;
}
