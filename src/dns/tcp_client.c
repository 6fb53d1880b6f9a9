#include "dns/tcp_client.h"

#include <netinet/in.h>
#include <unistd.h>

#include "base/address.h"
#include "base/metrics.h"
#include "base/own.h"
#include "dns/question.h"
#include "dns/sources.h"
#include "net/tcp.h"
#include "wire/dns.h"

#define LENGTH_SIZE 2
#define PAUSE_MS 100                  /* of a client above the rate of its address */
#define OUT_ENOUGH (2 * RESPONSE_MAX) /* no more questions are read while it is unsent */

static struct metric open_connections = {
    .name = "kube_tunnel_dns_connections",
    .help = "TCP connections to the DNS server",
    .type = METRIC_GAUGE,
};

struct tcp_client {
    struct tcp_clients *all;
    const void *listener;
    struct list_node node; /* the one that has been idle for longest first */
    struct stream *stream;
    struct task wake;
    struct timer idle;
    struct timer pause; /* set: its next questions wait until it ends */
    struct dns_client client;
    size_t unanswered;
    bool overflows; /* a response did not fit */
};

struct tcp_clients {
    struct loop *loop;
    struct questions *questions;
    struct sources *sources;
    struct list_node list;
    size_t count;
};

struct tcp_clients *tcp_clients_create(struct loop *loop, struct questions *questions)
{
    struct tcp_clients *all = xcalloc(1, sizeof(*all));

    metrics_register(&open_connections);
    all->loop = loop;
    all->questions = questions;
    all->sources = sources_create(loop_sched(loop), SOURCE_RATE);
    list_init(&all->list);
    return all;
}

static void close_tcp_client(struct tcp_client *c)
{
    struct tcp_clients *all = c->all;

    questions_forget(all->questions, c);
    timer_stop(&c->idle);
    timer_stop(&c->pause);
    task_cancel(&c->wake);
    stream_close(c->stream);
    list_remove(&c->node);
    all->count--;
    metric_add(&open_connections, 0, -1);
    free(c);
}

void tcp_clients_destroy(struct tcp_clients *all)
{
    if (!all)
        return;
    list_for_each (c, &all->list, struct tcp_client, node)
        close_tcp_client(c);
    sources_destroy(all->sources);
    free(all);
}

void tcp_clients_close(struct tcp_clients *all, const void *listener)
{
    list_for_each (c, &all->list, struct tcp_client, node)
        if (c->listener == listener)
            close_tcp_client(c);
}

static void on_idle(struct timer *t)
{
    close_tcp_client(container_of(t, struct tcp_client, idle));
}

/* A client that leaves so many responses unread that there is no room for one is closed. */
static void respond_on_stream(const struct dns_client *client, const uint8_t *bytes,
                              size_t len)
{
    struct tcp_client *c = client->transport;
    const uint8_t length[LENGTH_SIZE] = { (uint8_t)(len >> 8), (uint8_t)len };

    c->unanswered--;
    c->overflows = bufq_room(&c->stream->out) < len + LENGTH_SIZE;
    if (!c->overflows) {
        bufq_write(&c->stream->out, length, sizeof(length));
        bufq_write(&c->stream->out, bytes, len);
    }
    task_wake(&c->wake);
}

static bool may_ask(const struct tcp_client *c)
{
    return !c->pause.at && c->unanswered < CONNECTION_QUESTIONS &&
           c->stream->out.len < OUT_ENOUGH;
}

static void on_pause_end(struct timer *t)
{
    task_wake(&container_of(t, struct tcp_client, pause)->wake);
}

/* Takes one message.  ERR_AGAIN: it is not complete.  ERR_LIMIT: it is longer than a question may be. */
static enum err take_message(struct tcp_client *c, uint8_t *room, size_t *ret_len)
{
    uint8_t length[LENGTH_SIZE];

    if (bufq_copy(&c->stream->in, 0, length, LENGTH_SIZE) < LENGTH_SIZE)
        return ERR_AGAIN;
    size_t len = (size_t)length[0] << 8 | length[1];
    if (len > DNS_QUERY_MAX)
        return ERR_LIMIT;
    if (c->stream->in.len < LENGTH_SIZE + len)
        return ERR_AGAIN;
    bufq_skip(&c->stream->in, LENGTH_SIZE);
    *ret_len = bufq_read(&c->stream->in, room, len);
    return OK;
}

static void note_question(struct tcp_client *c)
{
    timer_set(&c->idle, CONNECTION_IDLE_MS);
    list_remove(&c->node);
    list_append(&c->all->list, &c->node);
}

/* False: the connection ends. */
static bool ask_questions(struct tcp_client *c)
{
    uint8_t room[DNS_QUERY_MAX];
    size_t len;

    while (may_ask(c)) {
        enum err e = take_message(c, room, &len);
        if (e)
            return e == ERR_AGAIN;
        note_question(c);
        c->unanswered++;
        if (sources_take(c->all->sources, (const struct sockaddr *)&c->client.peer) !=
            SOURCE_ANSWER)
            timer_set(&c->pause, PAUSE_MS);
        if (questions_ask(c->all->questions, &c->client, room, len))
            return false;
    }
    return true;
}

static void on_tcp_client(struct task *t)
{
    struct tcp_client *c = container_of(t, struct tcp_client, wake);
    struct stream *s = c->stream;

    bool goes_on = !s->broken && !c->overflows && ask_questions(c);
    if (!goes_on || (s->in_eof && !c->unanswered && bufq_empty(&s->out))) {
        close_tcp_client(c);
        return;
    }
    s->paused = !may_ask(c);
    stream_update(s);
}

static size_t connections_of(const struct tcp_clients *all, const struct sockaddr *peer)
{
    size_t n = 0;

    list_for_each (c, &all->list, struct tcp_client, node)
        n += str_eq(address_bytes((const struct sockaddr *)&c->client.peer),
                    address_bytes(peer));
    return n;
}

static struct in_addr own_address(int fd)
{
    struct sockaddr_storage own = { 0 };
    socklen_t len = sizeof(own);

    getsockname(fd, (struct sockaddr *)&own, &len);
    if (own.ss_family != AF_INET)
        return (struct in_addr){ 0 };
    return ((const struct sockaddr_in *)&own)->sin_addr;
}

void tcp_clients_accept(struct tcp_clients *all, const void *listener, int fd,
                        const struct sockaddr *peer)
{
    if (!address_is_loopback(peer) &&
        connections_of(all, peer) >= CONNECTIONS_PER_SOURCE) {
        close(fd);
        return;
    }
    if (all->count >= CONNECTIONS_MAX)
        close_tcp_client(list_first(&all->list, struct tcp_client, node));
    struct tcp_client *c = xcalloc(1, sizeof(*c));
    c->all = all;
    c->listener = listener;
    c->client = (struct dns_client){
        .respond = respond_on_stream,
        .transport = c,
        .stream = true,
        .peer = address_plain(peer),
        .own = own_address(fd),
    };
    task_init(&c->wake, loop_sched(all->loop), RANK_WORK, on_tcp_client);
    timer_init(&c->idle, loop_sched(all->loop), on_idle);
    timer_init(&c->pause, loop_sched(all->loop), on_pause_end);
    timer_set(&c->idle, CONNECTION_IDLE_MS);
    c->stream = tcp_open_accepted(all->loop, fd);
    c->stream->wake = &c->wake;
    list_append(&all->list, &c->node);
    all->count++;
    metric_add(&open_connections, 0, 1);
    task_wake(&c->wake);
}
