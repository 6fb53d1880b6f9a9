#include "dns/dns.h"

#include <netinet/in.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "config/config.h"
#include "dns/tcp_client.h"
#include "dns/forward.h"
#include "dns/question.h"
#include "dns/sources.h"
#include "listen/listen_sockets.h"
#include "net/loop.h"
#include "net/tcp.h"
#include "net/udp.h"

LOG_MODULE(dns);

#define RANDOM_PORT_TRIES 16 /* the port of TCP may be in use for UDP */
#define DNS_PORT 53

enum { LIMITED_TRUNCATED, LIMITED_DROPPED };

static struct metric limited = {
    .name = "kube_tunnel_dns_limited_total",
    .help = "DNS questions above the rate of their source",
    .type = METRIC_COUNTER,
    .label = "outcome",
    .values = { "truncated", "dropped" },
};

/* One address, with UDP and TCP. */
struct dns_socket {
    struct list_node node;
    struct dns *dns;
    struct udp *udp;
    struct listener *tcp;
    struct in_addr own;
    struct listen_address wanted;
    bool claimed; /* the change under way wants it, too */
    char address[ADDRESS_TEXT];
};

struct dns {
    struct dns_parts parts;
    struct questions *questions;
    struct tcp_clients *tcp;
    struct sources *sources;
    struct dns_forward *forward;
    struct listen_address forward_to;
    struct list_node sockets;
};

/* Bound for a change, and not in use yet. */
struct bound {
    struct listen_address wanted;
    int tcp, udp;
};

struct dns_change {
    struct dns *dns;
    struct bound *bound;
    size_t count;
    bool other_forward;
    struct listen_address forward_to;
    struct dns_forward *forward;
    uint32_t rate;
};

/* --- UDP --- */

static void respond_by_datagram(const struct dns_client *c, const uint8_t *bytes,
                                size_t len)
{
    const struct dns_socket *s = c->transport;
    udp_send(s->udp, (const struct sockaddr *)&c->peer, c->peer_len, bytes, len);
}

/* Only the question, so that the client asks again over TCP. */
static void respond_truncated(const struct dns_socket *s, const struct datagram *d)
{
    uint8_t room[DNS_UDP_MIN];
    struct dns_query q;
    struct dns_response r;

    if (dns_query_decode(d->at, d->len, &q))
        return;
    q.edns = false;
    dns_response_begin(&r, &q, room, sizeof(room));
    r.truncated = true;
    size_t len = dns_response_end(&r);
    udp_send(s->udp, d->from, d->from_len, room, len);
}

static void ask_by_datagram(struct dns_socket *s, const struct datagram *d)
{
    struct dns_client client = {
        .respond = respond_by_datagram,
        .transport = s,
        .own = s->own,
        .peer_len = d->from_len,
    };

    memcpy(&client.peer, d->from, d->from_len);
    enum err e = questions_ask(s->dns->questions, &client, d->at, d->len);
    (void)e; /* what is no question gets no response */
}

static void on_datagram(void *owner, const struct datagram *d)
{
    struct dns_socket *s = owner;

    if (address_port(d->from) == 0) /* no response can be sent there */
        return;
    switch (sources_take(s->dns->sources, d->from)) {
    case SOURCE_ANSWER:
        ask_by_datagram(s, d);
        break;
    case SOURCE_TRUNCATE:
        metric_add(&limited, LIMITED_TRUNCATED, 1);
        respond_truncated(s, d);
        break;
    case SOURCE_DROP:
        metric_add(&limited, LIMITED_DROPPED, 1);
        break;
    }
}

/* --- sockets --- */

static void on_accept(void *owner, int fd, const struct sockaddr *peer)
{
    const struct dns_socket *s = owner;
    tcp_clients_accept(s->dns->tcp, s, fd, peer);
}

static void close_socket(struct dns_socket *s)
{
    questions_forget(s->dns->questions, s);
    tcp_clients_close(s->dns->tcp, s);
    udp_close(s->udp);
    listener_close(s->tcp);
    list_remove(&s->node);
    free(s);
}

static void close_sockets(struct list_node *sockets)
{
    list_for_each (s, sockets, struct dns_socket, node)
        close_socket(s);
}

static void open_socket(struct dns *d, const struct bound *b)
{
    struct dns_socket *s = xcalloc(1, sizeof(*s));
    struct sockaddr_storage at = { 0 };
    struct sockaddr *sa = (struct sockaddr *)&at;
    socklen_t len = sizeof(at);

    getsockname(b->tcp, sa, &len);
    s->dns = d;
    s->wanted = b->wanted;
    if (sa->sa_family == AF_INET)
        s->own = ((const struct sockaddr_in *)&at)->sin_addr;
    address_text(sa, s->address);
    s->tcp = listener_open(d->parts.loop, b->tcp, on_accept, s);
    s->udp = udp_open(d->parts.loop, b->udp, DNS_UDP_MAX, UDP_BATCH, on_datagram, s);
    list_append(&d->sockets, &s->node);
    log_info(NO_ID, "DNS server", LOG_S("address", s->address));
    if (!address_is_loopback(sa))
        log_warn(NO_ID, "the DNS server can be reached from outside this machine",
                 LOG_S("address", s->address));
}

static enum err bind_datagrams(int tcp, int *ret, struct diag *why)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    getsockname(tcp, (struct sockaddr *)&at, &len);
    return udp_socket((struct sockaddr *)&at, len, ret, why);
}

/* A response must come from the address that was asked, which a socket of all addresses does not
 * ensure. */
static bool is_wildcard(const struct listen_address *a)
{
    const char *host = a->host;
    return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
           strcmp(host, "::") == 0;
}

static bool same_address(const struct listen_address *a, const struct listen_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void keep_bound(struct dns_change *c, const struct listen_address *wanted, int tcp,
                       int udp)
{
    c->bound = xrealloc(c->bound, (c->count + 1) * sizeof(*c->bound));
    c->bound[c->count++] = (struct bound){ *wanted, tcp, udp };
}

static enum err bind_once(struct dns_change *c, const struct listen_address *a,
                          struct diag *why)
{
    struct listen_sockets tcp;
    int udp[2] = { -1, -1 };
    enum err e = listen_sockets_bind(a, false, &tcp, why);

    if (e)
        return e;
    for (size_t i = 0; i < tcp.count && !e; i++)
        e = bind_datagrams(tcp.fds[i], &udp[i], why);
    for (size_t i = 0; i < tcp.count; i++) {
        if (!e) {
            keep_bound(c, a, tcp.fds[i], udp[i]);
            continue;
        }
        close(tcp.fds[i]);
        if (udp[i] >= 0)
            close(udp[i]);
    }
    return e;
}

static bool claim_sockets(struct dns *d, const struct listen_address *a)
{
    bool found = false;

    list_for_each (s, &d->sockets, struct dns_socket, node)
        if (!s->claimed && same_address(&s->wanted, a))
            s->claimed = found = true;
    return found;
}

static enum err bind_address(struct dns_change *c, const struct listen_address *a,
                             struct diag *why)
{
    if (claim_sockets(c->dns, a))
        return OK;
    enum err e = bind_once(c, a, why);
    for (int i = 1; e == ERR_IN_USE && a->port == 0 && i < RANDOM_PORT_TRIES; i++)
        e = bind_once(c, a, why);
    return e;
}

/* The two addresses of localhost with a given port are bound one by one, since a change may
 * concern one of them.  ERR_CONFIG for the second one: there is no IPv6 here. */
static enum err bind_wanted(struct dns_change *c, const struct listen_address *a,
                            struct diag *why)
{
    struct listen_address v4 = { "127.0.0.1", a->port }, v6 = { "::1", a->port };

    if (is_wildcard(a))
        return diag_set(why, ERR_CONFIG,
                        "\"%s\" is no address of its own: repeat dns-listen for each "
                        "address of this machine",
                        a->host);
    if (a->port == 0 || (a->host[0] && strcmp(a->host, "localhost") != 0))
        return bind_address(c, a, why);
    enum err e = bind_address(c, &v4, why);
    if (!e)
        e = bind_address(c, &v6, why);
    return e == ERR_CONFIG ? OK : e;
}

/* --- forwarding --- */

static bool is_bound_to(int fd, const char *text)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);
    char own[ADDRESS_TEXT];

    getsockname(fd, (struct sockaddr *)&at, &len);
    address_text((struct sockaddr *)&at, own);
    return strcmp(own, text) == 0;
}

static bool is_own_socket(const struct dns_change *c, const struct sockaddr_storage *to)
{
    char text[ADDRESS_TEXT];

    address_text((const struct sockaddr *)to, text);
    for (size_t i = 0; i < c->count; i++)
        if (is_bound_to(c->bound[i].tcp, text))
            return true;
    list_for_each (s, &c->dns->sockets, struct dns_socket, node)
        if (s->claimed && strcmp(s->address, text) == 0)
            return true;
    return false;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET)
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

static enum err open_forward(struct dns_change *c, const struct listen_address *to,
                             struct diag *why)
{
    struct sockaddr_storage server;

    c->other_forward = !same_address(to, &c->dns->forward_to);
    c->forward_to = *to;
    if (!to->host[0])
        return OK;
    if (!address_parse(str_of(to->host), &server))
        return diag_set(why, ERR_CONFIG, "\"%s\" is not an address", to->host);
    set_port(&server, to->port ? to->port : DNS_PORT);
    if (is_own_socket(c, &server))
        return diag_set(why, ERR_CONFIG, "it is the address of this DNS server itself");
    if (c->other_forward)
        c->forward = dns_forward_create(c->dns->parts.loop, &server);
    return OK;
}

/* --- changes --- */

/* With port 0 each would be another socket, and a change could not know which one is which. */
static enum err check_repeated(const struct listen_list *list, struct diag *why)
{
    char text[LISTEN_TEXT_SIZE];

    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++)
            if (same_address(&list->at[i], &list->at[k])) {
                listen_address_print(&list->at[i], text);
                return diag_set(why, ERR_CONFIG, "%s is given twice: remove one of them",
                                text);
            }
    return OK;
}

static enum err change_find(struct dns_change *c, const struct listen_list *listen,
                            const struct config *config, struct diag *why)
{
    list_for_each (s, &c->dns->sockets, struct dns_socket, node)
        s->claimed = false;
    enum err e = check_repeated(listen, why);
    for (size_t i = 0; i < listen->count && !e; i++)
        e = bind_wanted(c, &listen->at[i], why);
    if (e)
        return diag_prefix(why, e, "dns-listen");
    e = open_forward(c, &config->dns_forward, why);
    return e ? diag_prefix(why, e, "dns-forward") : OK;
}

enum err dns_prepare(struct dns *d, const struct listen_list *listen,
                     const struct config *config, struct dns_change **ret,
                     struct diag *why)
{
    struct dns_change *c = xcalloc(1, sizeof(*c));

    c->dns = d;
    c->rate = config->dns_rate;
    enum err e = change_find(c, listen, config, why);
    if (e)
        dns_discard(c);
    else
        *ret = c;
    return e;
}

static void change_forward(struct dns_change *c)
{
    struct dns *d = c->dns;

    questions_set_forward(d->questions, c->forward);
    dns_forward_destroy(d->forward);
    d->forward = TAKE(c->forward);
    d->forward_to = c->forward_to;
}

void dns_commit(struct dns_change *c)
{
    struct dns *d = c->dns;

    if (c->other_forward)
        change_forward(c);
    sources_set_rate(d->sources, c->rate);
    list_for_each (s, &d->sockets, struct dns_socket, node) {
        if (s->claimed)
            continue;
        log_info(NO_ID, "no longer a DNS server", LOG_S("address", s->address));
        close_socket(s);
    }
    for (size_t i = 0; i < c->count; i++)
        open_socket(d, &c->bound[i]);
    c->count = 0;
    dns_discard(c);
}

void dns_discard(struct dns_change *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        close(c->bound[i].tcp);
        close(c->bound[i].udp);
    }
    free(c->bound);
    dns_forward_destroy(c->forward);
    free(c);
}

/* --- the server --- */

static struct questions *create_questions(struct dns *d)
{
    const struct dns_parts *p = &d->parts;
    return questions_create(&(struct questions_parts){
        .loop = p->loop,
        .clusters = p->clusters,
        .naming = p->naming,
        .is_open = p->is_open,
        .owner = p->owner,
        .addresses = &p->addresses,
    });
}

enum err dns_open(const struct dns_parts *parts, const struct config *config,
                  struct dns **ret, struct diag *why)
{
    *ret = NULL;
    if (!parts->listen->count)
        return OK;
    metrics_register(&limited);
    struct dns *d = xcalloc(1, sizeof(*d));
    d->parts = *parts;
    list_init(&d->sockets);
    d->questions = create_questions(d);
    d->tcp = tcp_clients_create(parts->loop, d->questions);
    d->sources = sources_create(loop_sched(parts->loop), config->dns_rate);
    struct dns_change *first;
    enum err e = dns_prepare(d, parts->listen, config, &first, why);
    d->parts.listen = NULL;
    if (e) {
        dns_close(d);
        return e;
    }
    dns_commit(first);
    *ret = d;
    return OK;
}

void dns_close(struct dns *d)
{
    if (!d)
        return;
    close_sockets(&d->sockets);
    tcp_clients_destroy(d->tcp);
    questions_set_forward(d->questions, NULL);
    dns_forward_destroy(d->forward);
    questions_destroy(d->questions);
    sources_destroy(d->sources);
    free(d);
}

void dns_each_address(const struct dns *d, void (*each)(void *owner, const char *address),
                      void *owner)
{
    if (!d)
        return;
    list_for_each (s, &d->sockets, struct dns_socket, node)
        each(owner, s->address);
}

size_t dns_waiting(const struct dns *d)
{
    return d ? questions_waiting(d->questions) : 0;
}
