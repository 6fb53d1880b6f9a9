#include "dns/forward.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "dns/client.h"
#include "net/tcp_dial.h"
#include "net/udp.h"
#include "wire/dns.h"

LOG_MODULE(dns);

#define LENGTH_SIZE 2

enum { FORWARD_SENT, FORWARD_IGNORED, FORWARD_FAILED };

static struct metric forwarded = {
    .name = "kube_tunnel_dns_forwarded_total",
    .help = "DNS questions of other zones: sent, replies that match none, and without a "
            "reply",
    .type = METRIC_COUNTER,
    .label = "outcome",
    .values = { "sent", "ignored_reply", "failed" },
};

struct passed {
    struct dns_forward *all;
    struct list_node node;
    struct dns_client client;
    struct dns_query query;
    uint8_t sent[DNS_PASSED_ROOM];
    size_t sent_len;
    struct udp *udp; /* or, of a client over TCP: */
    struct tcp_dial dial;
    struct stream *stream;
    struct task wake;
    struct timer timer;
    bool again; /* it was sent twice */
};

struct dns_forward {
    struct loop *loop;
    struct sockaddr_storage server;
    socklen_t server_len;
    struct list_node list;
    size_t count;
    uint8_t room[RESPONSE_MAX];
};

struct dns_forward *dns_forward_create(struct loop *loop,
                                       const struct sockaddr_storage *server)
{
    struct dns_forward *f = xcalloc(1, sizeof(*f));

    metrics_register(&forwarded);
    f->loop = loop;
    f->server = *server;
    f->server_len = server->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                 : sizeof(struct sockaddr_in6);
    list_init(&f->list);
    return f;
}

static void release_passed(struct passed *p)
{
    udp_close(p->udp);
    tcp_dial_finish(&p->dial);
    stream_close(p->stream);
    task_cancel(&p->wake);
    timer_stop(&p->timer);
    list_remove(&p->node);
    p->all->count--;
    free(p);
}

void dns_forward_destroy(struct dns_forward *f)
{
    if (!f)
        return;
    list_for_each (p, &f->list, struct passed, node)
        release_passed(p);
    free(f);
}

void dns_forward_forget(struct dns_forward *f, const void *transport)
{
    list_for_each (p, &f->list, struct passed, node)
        if (p->client.transport == transport)
            release_passed(p);
}

/* A response without records of our own. */
static void respond_empty(struct passed *p, enum dns_rcode rcode, bool truncated)
{
    uint8_t room[DNS_UDP_MIN];
    struct dns_response r;

    dns_response_begin(&r, &p->query, room, sizeof(room));
    r.rcode = rcode;
    r.truncated = truncated;
    r.recursion_available = true;
    size_t len = dns_response_end(&r);
    dns_respond(&p->client, room, len);
    release_passed(p);
}

static void fail_passed(struct passed *p)
{
    metric_add(&forwarded, FORWARD_FAILED, 1);
    respond_empty(p, DNS_SERVFAIL, false);
}

static bool matches(struct passed *p, const uint8_t *reply, size_t len)
{
    if (dns_is_reply(reply, len, p->sent, p->sent_len))
        return true;
    metric_add(&forwarded, FORWARD_IGNORED, 1);
    log_debug(NO_ID, "a reply that belongs to no question is ignored",
              LOG_U("bytes", len));
    return false;
}

/* The reply as it is, but for its id. */
static void respond_reply(struct passed *p, const uint8_t *reply, size_t len)
{
    uint8_t *room = p->all->room;

    if (reply != room)
        memcpy(room, reply, len);
    dns_set_id(room, p->query.id);
    dns_respond(&p->client, room, len);
    release_passed(p);
}

static void on_reply(void *owner, const struct datagram *d)
{
    struct passed *p = owner;
    size_t limit = p->query.udp_size < DNS_UDP_MAX ? p->query.udp_size : DNS_UDP_MAX;

    if (!matches(p, d->at, d->len))
        return;
    if (d->cut || d->len > limit)
        respond_empty(p, DNS_NOERROR, true);
    else
        respond_reply(p, d->at, d->len);
}

static void send_datagram(struct passed *p)
{
    udp_send(p->udp, NULL, 0, p->sent, p->sent_len);
}

static void on_timer(struct timer *t)
{
    struct passed *p = container_of(t, struct passed, timer);

    if (p->udp && !p->again) {
        p->again = true;
        send_datagram(p);
        timer_set(&p->timer, FORWARD_MS - FORWARD_AGAIN_MS);
        return;
    }
    fail_passed(p);
}

/* --- over TCP --- */

static void send_on_stream(struct passed *p)
{
    const uint8_t length[LENGTH_SIZE] = { (uint8_t)(p->sent_len >> 8),
                                          (uint8_t)p->sent_len };

    p->stream = TAKE(p->dial.stream);
    p->stream->wake = &p->wake;
    bufq_write(&p->stream->out, length, sizeof(length));
    bufq_write(&p->stream->out, p->sent, p->sent_len);
    stream_update(p->stream);
}

/* ERR_AGAIN: it is not complete. */
static enum err take_reply(struct passed *p, size_t *ret_len)
{
    uint8_t length[LENGTH_SIZE];
    struct stream *s = p->stream;

    if (bufq_copy(&s->in, 0, length, LENGTH_SIZE) < LENGTH_SIZE)
        return ERR_AGAIN;
    size_t len = (size_t)length[0] << 8 | length[1];
    if (len > RESPONSE_MAX)
        return ERR_LIMIT;
    if (s->in.len < LENGTH_SIZE + len)
        return ERR_AGAIN;
    bufq_skip(&s->in, LENGTH_SIZE);
    *ret_len = bufq_read(&s->in, p->all->room, len);
    return OK;
}

static void read_stream(struct passed *p)
{
    size_t len = 0;
    enum err e = take_reply(p, &len);

    if (e == ERR_AGAIN && !p->stream->broken && !p->stream->in_eof) {
        stream_update(p->stream);
        return;
    }
    if (e || !matches(p, p->all->room, len))
        fail_passed(p);
    else
        respond_reply(p, p->all->room, len);
}

static void on_stream(struct task *t)
{
    struct passed *p = container_of(t, struct passed, wake);

    if (!p->stream && p->dial.result == ERR_AGAIN)
        return;
    if (!p->stream && p->dial.result == OK)
        send_on_stream(p);
    if (p->stream)
        read_stream(p);
    else
        fail_passed(p);
}

/* --- questions --- */

static bool open_passed(struct passed *p)
{
    struct dns_forward *f = p->all;
    struct diag why;
    int fd;

    if (p->client.stream) {
        tcp_dial_start(&p->dial, f->loop, &f->server, FORWARD_MS, &p->wake);
        if (p->dial.result != ERR_AGAIN)
            task_wake(&p->wake);
        timer_set(&p->timer, FORWARD_MS);
        return true;
    }
    if (udp_socket_to((const struct sockaddr *)&f->server, f->server_len, &fd, &why)) {
        log_debug(NO_ID, "no socket for a question", LOG_S("reason", why.text));
        return false;
    }
    p->udp = udp_open(f->loop, fd, DNS_UDP_MAX, 1, on_reply, p);
    send_datagram(p);
    timer_set(&p->timer, FORWARD_AGAIN_MS);
    return true;
}

bool dns_forward_ask(struct dns_forward *f, const struct dns_client *client,
                     const struct dns_query *query)
{
    uint16_t id;

    if (f->count >= FORWARD_MAX || getrandom(&id, sizeof(id), 0) != sizeof(id))
        return false;
    struct passed *p = xcalloc(1, sizeof(*p));
    p->all = f;
    p->client = *client;
    p->query = *query;
    p->sent_len = dns_query_encode(query, id, p->sent);
    task_init(&p->wake, loop_sched(f->loop), RANK_WORK, on_stream);
    timer_init(&p->timer, loop_sched(f->loop), on_timer);
    list_append(&f->list, &p->node);
    f->count++;
    if (!open_passed(p)) {
        release_passed(p);
        return false;
    }
    metric_add(&forwarded, FORWARD_SENT, 1);
    return true;
}
