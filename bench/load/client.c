/* bench/load/client.c - one connection of the load, which sends requests one after the
 * other */
#include "bench/load/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/call.h"
#include "bench/load/secure.h"

#define SOURCES 32
/* after a failure, so that there is no storm of retries */
#define PAUSE_NS (10 * 1000000ull)

uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void client_init(struct client *c, struct run *r, uint64_t due)
{
    c->run = r;
    c->fd = -1;
    c->state = CLIENT_WAITS;
    c->due = due;
}

static void hang_up(struct client *c)
{
    secure_close(c->secure);
    c->secure = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    call_destroy(c->call);
    c->call = NULL;
}

void client_finish(struct client *c)
{
    hang_up(c);
}

/* A paced client keeps to its schedule; others send the next request at once. */
static void schedule_next(struct client *c)
{
    const struct plan *p = c->run->plan;

    c->state = CLIENT_WAITS;
    if (p->rate > 0)
        c->due += (uint64_t)(1e9 * (double)p->connections / p->rate);
    else
        c->due = c->run->now;
}

static void fail(struct client *c, enum failure why)
{
    if (c->run->counting)
        c->run->tally.failures[why]++;
    hang_up(c);
    schedule_next(c);
    if (c->due < c->run->now + PAUSE_NS)
        c->due = c->run->now + PAUSE_NS;
}

/* If the server closed the connection between two requests, that is no failure. */
static void lose(struct client *c, enum failure why)
{
    if (c->state == CLIENT_WAITS)
        hang_up(c);
    else
        fail(c, c->state == CLIENT_CONNECTS ? FAIL_CONNECT : why);
}

static void count(struct client *c)
{
    struct tally *t = &c->run->tally;

    if (!c->run->counting)
        return;
    t->requests++;
    t->body_in += c->answer.body;
    t->body_out += c->run->plan->upload;
    samples_add(&t->latencies,
                monotonic_ns() - (c->run->plan->rate > 0 ? c->due : c->began));
}

/* The last one is the head, which is echoed where the connection is raw. */
static struct step step_of(const struct client *c)
{
    const struct plan *p = c->run->plan;

    if (c->call)
        return (struct step){ .send = (char *)(uintptr_t)c->call_bytes,
                              .send_len = c->call_len };
    if (c->step < p->step_count)
        return p->steps[c->step];
    return (struct step){ p->head, p->head, p->head_len, p->head_len };
}

static bool all_sent(const struct client *c)
{
    const struct plan *p = c->run->plan;
    return c->sent == step_of(c).send_len + (c->step == p->step_count ? p->upload : 0);
}

static void complete(struct client *c)
{
    if (c->answer.status != 200) {
        fail(c, FAIL_STATUS);
        return;
    }
    if (!all_sent(c)) {
        fail(c, FAIL_EARLY);
        return;
    }
    count(c);
    if (c->run->plan->fresh || c->answer.closes)
        hang_up(c);
    schedule_next(c);
}

static enum err take_echo(struct client *c, const char *bytes, size_t n)
{
    struct step s = step_of(c);
    struct answer *a = &c->answer;

    if (n > s.expect_len - a->head_len || memcmp(bytes, s.expect + a->head_len, n) != 0)
        return ERR_PROTO;
    a->head_len += n;
    a->status = 200;
    if (a->head_len < s.expect_len)
        return ERR_AGAIN;
    if (c->step == c->run->plan->step_count)
        return OK;
    c->step++;
    c->sent = 0;
    a->head_len = 0;
    return ERR_AGAIN;
}

static enum err take_call(struct client *c, const char *bytes, size_t n)
{
    enum err e = call_feed(c->call, bytes, n);

    if (!e)
        c->answer.status = 200;
    return e;
}

static enum err take_answer(struct client *c, const char *bytes, size_t n)
{
    if (c->call)
        return take_call(c, bytes, n);
    return c->run->plan->raw ? take_echo(c, bytes, n) : answer_feed(&c->answer, bytes, n);
}

static void on_bytes(struct client *c, const char *bytes, size_t n)
{
    if (c->state != CLIENT_TALKS) {
        if (!c->call || take_call(c, bytes, n) == ERR_PROTO)
            hang_up(c); /* but HTTP/2 has frames between two calls, too */
        return;
    }
    if (c->run->counting)
        c->run->tally.moved_in += n;
    enum err e = take_answer(c, bytes, n);
    if (e == OK)
        complete(c);
    else if (e != ERR_AGAIN)
        fail(c, FAIL_MALFORMED);
}

/* Reads until the socket is empty, which a short read shows, or until its end if that was
 * reported, because epoll reports it only once. */
static void receive(struct client *c, bool ended)
{
    struct run *r = c->run;
    ssize_t n = (ssize_t)r->scratch_len;

    while (c->fd >= 0 && (n == (ssize_t)r->scratch_len || ended || c->secure)) {
        n = c->secure ? secure_recv(c->secure, r->scratch, r->scratch_len)
                      : recv(c->fd, r->scratch, r->scratch_len, 0);
        if (n > 0)
            on_bytes(c, r->scratch, (size_t)n);
        else if (n == 0)
            lose(c, FAIL_CUT);
        else if (errno != EAGAIN)
            lose(c, FAIL_RESET);
        else
            return;
    }
}

static ssize_t send_bytes(struct client *c, const void *bytes, size_t n, int flags)
{
    return c->secure ? secure_send(c->secure, bytes, n)
                     : send(c->fd, bytes, n, MSG_NOSIGNAL | flags);
}

static ssize_t send_more(struct client *c)
{
    const struct plan *p = c->run->plan;
    struct step s = step_of(c);

    if (c->sent < s.send_len)
        return send_bytes(c, s.send + c->sent, s.send_len - c->sent,
                          p->upload ? MSG_MORE : 0);
    uint64_t left = p->head_len + p->upload - c->sent;
    size_t most = c->run->scratch_len;
    return send_bytes(c, c->run->scratch, left < most ? (size_t)left : most, 0);
}

static void note_sent(struct client *c, uint64_t n)
{
    c->sent += n;
    if (c->run->counting)
        c->run->tally.moved_out += n;
}

static void transmit(struct client *c)
{
    while (c->state == CLIENT_TALKS && !all_sent(c)) {
        ssize_t n = send_more(c);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail(c, FAIL_RESET);
        else
            note_sent(c, (uint64_t)n);
    }
}

/* The client closes first, so its port stays in TIME-WAIT, and one address has only
 * 28,000 ports: connect() would soon search for milliseconds.  So several loopback
 * addresses are used. */
static void take_source(struct client *c)
{
    const struct sockaddr_in *to = (const struct sockaddr_in *)&c->run->plan->address;
    struct sockaddr_in from = { .sin_family = AF_INET };
    int on = 1;

    if (!c->run->plan->fresh || ntohl(to->sin_addr.s_addr) != INADDR_LOOPBACK)
        return;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->run->dials++ % SOURCES);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(c->fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
        return; /* then from the usual address */
}

static void dial(struct client *c)
{
    const struct plan *p = c->run->plan;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = c };
    int on = 1;

    c->state = CLIENT_CONNECTS;
    c->fd = socket(p->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || epoll_ctl(c->run->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        fail(c, FAIL_CONNECT);
        return;
    }
    take_source(c);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(c->fd, (const struct sockaddr *)&p->address, p->address_len) != 0 &&
        errno != EINPROGRESS)
        fail(c, FAIL_CONNECT);
}

/* The connection is established, still pending, or has failed. */
static void finish_dial(struct client *c)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int error = 0;
    socklen_t error_len = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
    if (error || getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        fail(c, FAIL_CONNECT);
    else if (info.tcpi_state != TCP_SYN_SENT)
        c->state = CLIENT_TALKS;
    if (c->state == CLIENT_TALKS && c->run->plan->tls_name)
        c->secure = secure_open(c->fd, c->run->plan->tls_name);
}

bool run_has_begun_all(const struct run *r)
{
    return r->counting && r->plan->requests && r->begun >= r->plan->requests;
}

static bool is_due(const struct client *c)
{
    return c->state == CLIENT_WAITS && c->due <= c->run->now &&
           !run_has_begun_all(c->run);
}

static void begin(struct client *c)
{
    c->began = monotonic_ns();
    c->run->begun += c->run->counting;
    c->sent = c->step = 0;
    answer_init(&c->answer);
    if (c->fd < 0)
        dial(c);
    else
        c->state = CLIENT_TALKS;
    const struct plan *p = c->run->plan;
    if (p->grpc_host && !c->call)
        c->call = call_create(p->grpc_host, p->grpc_path);
    if (c->call)
        c->call_bytes = call_begin(c->call, &c->call_len);
}

void client_step(struct client *c, uint32_t events)
{
    if (c->state == CLIENT_CONNECTS)
        finish_dial(c);
    transmit(c);
    if (c->fd >= 0 && c->state != CLIENT_CONNECTS)
        receive(c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    transmit(c); /* the next step */
    if (is_due(c)) {
        begin(c);
        transmit(c);
    }
}

void client_look_at_clock(struct client *c)
{
    if (c->state != CLIENT_WAITS && c->run->now > c->began + c->run->plan->patience_ns)
        fail(c, FAIL_LATE);
}
