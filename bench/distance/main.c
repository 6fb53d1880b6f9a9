/* bench/distance/main.c - bench-distance: a TCP relay that puts a server far away
 *
 *     bench-distance [OPTIONS] ADDRESS:PORT     the server to relay to
 *
 * Each byte is delivered --delay after it was received, in either direction; the first
 * bytes of a client are delivered no sooner than --connect after it connected.  25 and 75
 * ms cost what a server 50 ms away costs: the handshake of TCP takes a round trip before
 * the first byte leaves.  Bandwidth is not limited, nor is there any loss.  Prints "ready
 * ADDRESS:PORT", and runs until SIGTERM.
 *
 * One thread, one epoll.  The delayed bytes of each direction are in a queue of chunks,
 * at most FLIGHT_MAX bytes; while it is full the source is not read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/own.h"
#include "base/str.h"

#define FLIGHT_MAX ((size_t)32 << 20) /* 25 ms of a gigabyte a second */
#define READ_MAX 65536
#define EVENTS 64

static const char usage[] =
    "bench-distance [OPTIONS] ADDRESS:PORT\n"
    "  --delay TIME    of each byte, one way (25ms)\n"
    "  --connect TIME  of the first bytes after a client connected (75ms)\n";

struct chunk {
    struct list_node node;
    uint64_t due_ns;
    size_t len, sent; /* len 0: the end of the input */
    uint8_t bytes[];
};

/* One direction. */
struct pipe {
    struct link *link;
    int from, to;
    struct list_node chunks;
    size_t flight;
    uint64_t not_before_ns;
    bool ended;   /* nothing more is read */
    bool shut;    /* the end was passed on */
    bool blocked; /* the socket `to` accepts no bytes at present */
};

/* One connection: `up` reads the client, `down` reads the server. */
struct link {
    struct list_node node;
    struct pipe up, down;
    bool broken;
};

struct relay {
    int epoll, listener;
    struct sockaddr_in server;
    uint64_t delay_ns, connect_ns, now;
    struct list_node links;
};

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct chunk *first_chunk(const struct pipe *p)
{
    return list_empty(&p->chunks) ? NULL : list_first(&p->chunks, struct chunk, node);
}

/* Sets the epoll events of a socket, which is the source of one pipe and the target of
 * the other. */
static void watch(struct relay *r, const struct pipe *out, const struct pipe *in,
                  int operation)
{
    bool reads = !out->ended && out->flight < FLIGHT_MAX;
    struct epoll_event event = { .events = (reads ? EPOLLIN : 0u) |
                                           (in->blocked ? EPOLLOUT : 0u),
                                 .data.ptr = (void *)out };
    epoll_ctl(r->epoll, operation, out->from, &event);
}

static void watch_both(struct relay *r, struct link *l, int operation)
{
    watch(r, &l->up, &l->down, operation);
    watch(r, &l->down, &l->up, operation);
}

static void queue_chunk(struct relay *r, struct pipe *p, const uint8_t *bytes, size_t n)
{
    struct chunk *c = xcalloc(1, sizeof(*c) + n);
    uint64_t due = r->now + r->delay_ns;

    c->due_ns = due > p->not_before_ns ? due : p->not_before_ns;
    c->len = n;
    if (n)
        memcpy(c->bytes, bytes, n);
    list_append(&p->chunks, &c->node);
    p->flight += n;
    p->ended = n == 0;
}

static void receive(struct relay *r, struct pipe *p)
{
    static uint8_t bytes[READ_MAX];

    while (!p->ended && p->flight < FLIGHT_MAX) {
        ssize_t n = recv(p->from, bytes, sizeof(bytes), 0);
        if (n < 0 && errno != EAGAIN)
            p->link->broken = true;
        if (n < 0)
            return;
        queue_chunk(r, p, bytes, (size_t)n);
    }
}

static void drop_chunk(struct chunk *c)
{
    list_remove(&c->node);
    free(c);
}

/* True when all of it was taken. */
static bool deliver_chunk(struct pipe *p, struct chunk *c)
{
    while (c->sent < c->len) {
        ssize_t n = send(p->to, c->bytes + c->sent, c->len - c->sent, MSG_NOSIGNAL);
        p->blocked = n < 0 && (errno == EAGAIN || errno == ENOTCONN);
        p->link->broken |= n < 0 && !p->blocked;
        if (n < 0)
            return false;
        c->sent += (size_t)n;
        p->flight -= (size_t)n;
    }
    if (c->len)
        return true;
    p->shut = true;
    shutdown(p->to, SHUT_WR);
    return true;
}

static void deliver(struct relay *r, struct pipe *p)
{
    struct chunk *c;

    while (!p->blocked && (c = first_chunk(p)) && c->due_ns <= r->now) {
        if (!deliver_chunk(p, c))
            return;
        drop_chunk(c);
    }
}

static void finish_pipe(struct pipe *p)
{
    struct chunk *c;
    while ((c = first_chunk(p)))
        drop_chunk(c);
    if (p->from >= 0)
        close(p->from);
}

static void finish_link(struct link *l)
{
    list_remove(&l->node);
    finish_pipe(&l->up);
    finish_pipe(&l->down);
    free(l);
}

static int dial(const struct relay *r)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&r->server, sizeof(r->server)) == 0 ||
        errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static void init_pipe(struct pipe *p, struct link *l, int from, int to)
{
    int on = 1;

    p->link = l;
    p->from = from;
    p->to = to;
    list_init(&p->chunks);
    setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void accept_link(struct relay *r)
{
    int client = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return;
    struct link *l = xcalloc(1, sizeof(*l));
    int server = dial(r);

    init_pipe(&l->up, l, client, server);
    init_pipe(&l->down, l, server, client);
    l->up.not_before_ns = r->now + r->connect_ns;
    l->broken = server < 0;
    list_append(&r->links, &l->node);
    watch_both(r, l, EPOLL_CTL_ADD);
}

static void on_socket(struct relay *r, struct pipe *out, uint32_t events)
{
    struct link *l = out->link;
    struct pipe *in = out == &l->up ? &l->down : &l->up;

    if (events & EPOLLOUT)
        in->blocked = false;
    if (events & EPOLLERR)
        l->broken = true;
    if (events & EPOLLIN)
        receive(r, out);
}

static bool is_over(const struct link *l)
{
    return l->broken || (l->up.shut && l->down.shut);
}

/* Delivers the chunks that are due; returns when the next one is. */
static uint64_t run_links(struct relay *r)
{
    uint64_t next = UINT64_MAX;

    list_for_each (l, &r->links, struct link, node) {
        struct pipe *pipes[] = { &l->up, &l->down };
        for (size_t i = 0; i < ARRAY_LEN(pipes); i++) {
            deliver(r, pipes[i]);
            const struct chunk *c = first_chunk(pipes[i]);
            if (c && !pipes[i]->blocked && c->due_ns < next)
                next = c->due_ns;
        }
        if (is_over(l))
            finish_link(l);
        else
            watch_both(r, l, EPOLL_CTL_MOD);
    }
    return next;
}

static void turn(struct relay *r)
{
    struct epoll_event events[EVENTS];
    uint64_t next = run_links(r);
    uint64_t left = next > r->now ? next - r->now : 0;
    struct timespec timeout = { .tv_sec = (time_t)(left / 1000000000),
                                .tv_nsec = (long)(left % 1000000000) };

    int n = epoll_pwait2(r->epoll, events, EVENTS, next == UINT64_MAX ? NULL : &timeout,
                         NULL);
    r->now = clock_ns();
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr)
            on_socket(r, events[i].data.ptr, events[i].events);
        else
            accept_link(r);
    }
}

static enum err open_listener(struct relay *r)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);
    struct epoll_event event = { .events = EPOLLIN };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(r->listener, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(r->listener, 512) != 0 ||
        getsockname(r->listener, (struct sockaddr *)&a, &len) != 0 ||
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->listener, &event) != 0)
        return ERR_IO;
    printf("ready 127.0.0.1:%u\n", ntohs(a.sin_port));
    fflush(stdout);
    return OK;
}

static enum err read_server(struct sockaddr_in *server, const char *text)
{
    struct str host;
    uint64_t port;
    struct str rest = str_cut_last(str_of(text), ':', &host);
    AUTO_FREE char *ip = str_dup(host);

    server->sin_family = AF_INET;
    if (str_to_uint(rest, UINT16_MAX, &port) ||
        inet_pton(AF_INET, ip, &server->sin_addr) != 1)
        return ERR_CONFIG;
    server->sin_port = htons((uint16_t)port);
    return OK;
}

static enum err read_options(struct relay *r, int argc, char **argv)
{
    static const struct option options[] = {
        { "delay", required_argument, NULL, 'd' },
        { "connect", required_argument, NULL, 'c' },
        { 0 },
    };
    uint64_t delay_ms = 25, connect_ms = 75;
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
        if ((option != 'd' && option != 'c') ||
            str_to_duration_ms(str_of(optarg), option == 'd' ? &delay_ms : &connect_ms))
            return ERR_CONFIG;
    r->delay_ns = delay_ms * 1000000;
    r->connect_ns = connect_ms * 1000000;
    return optind + 1 == argc ? read_server(&r->server, argv[optind]) : ERR_CONFIG;
}

int main(int argc, char **argv)
{
    struct relay r = { .now = clock_ns() };

    list_init(&r.links);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000ul);
    if (read_options(&r, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (open_listener(&r)) {
        perror("bench-distance");
        return 1;
    }
    while (true)
        turn(&r);
}
