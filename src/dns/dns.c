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
    char address[ADDRESS_TEXT];
};

struct dns {
    struct dns_parts parts;
    struct questions *questions;
    struct tcp_clients *tcp;
    struct sources *sources;
    struct dns_forward *forward;
    struct list_node sockets;
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
    tcp_clients_accept(s->dns->tcp, fd, peer);
}

static void close_socket(struct dns_socket *s)
{
    questions_forget(s->dns->questions, s);
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

static void open_socket(struct dns *d, struct list_node *list, int tcp, int udp)
{
    struct dns_socket *s = xcalloc(1, sizeof(*s));
    struct sockaddr_storage at = { 0 };
    struct sockaddr *sa = (struct sockaddr *)&at;
    socklen_t len = sizeof(at);

    getsockname(tcp, sa, &len);
    s->dns = d;
    if (sa->sa_family == AF_INET)
        s->own = ((const struct sockaddr_in *)&at)->sin_addr;
    address_text(sa, s->address);
    s->tcp = listener_open(d->parts.loop, tcp, on_accept, s);
    s->udp = udp_open(d->parts.loop, udp, DNS_UDP_MAX, UDP_BATCH, on_datagram, s);
    list_append(list, &s->node);
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

static enum err bind_once(struct dns *d, const struct listen_address *a,
                          struct list_node *list, struct diag *why)
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
            open_socket(d, list, tcp.fds[i], udp[i]);
            continue;
        }
        close(tcp.fds[i]);
        if (udp[i] >= 0)
            close(udp[i]);
    }
    return e;
}

static enum err bind_address(struct dns *d, const struct listen_address *a,
                             struct diag *why)
{
    if (is_wildcard(a))
        return diag_set(why, ERR_CONFIG,
                        "\"%s\" is no address of its own: repeat dns-listen for each "
                        "address of this machine",
                        a->host);
    enum err e = bind_once(d, a, &d->sockets, why);
    for (int i = 1; e == ERR_IN_USE && a->port == 0 && i < RANDOM_PORT_TRIES; i++)
        e = bind_once(d, a, &d->sockets, why);
    return e;
}

/* --- forwarding --- */

static bool is_own_socket(const struct dns *d, const struct sockaddr_storage *server)
{
    char text[ADDRESS_TEXT];

    address_text((const struct sockaddr *)server, text);
    list_for_each (s, &d->sockets, struct dns_socket, node)
        if (strcmp(s->address, text) == 0)
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

static enum err open_forward(struct dns *d, const struct listen_address *to,
                             struct diag *why)
{
    struct sockaddr_storage server;

    if (!to->host[0])
        return OK;
    if (!address_parse(str_of(to->host), &server))
        return diag_set(why, ERR_CONFIG, "\"%s\" is not an address", to->host);
    set_port(&server, to->port ? to->port : DNS_PORT);
    if (is_own_socket(d, &server))
        return diag_set(why, ERR_CONFIG, "it is the address of this DNS server itself");
    d->forward = dns_forward_create(d->parts.loop, &server);
    questions_set_forward(d->questions, d->forward);
    return OK;
}

/* --- the server --- */

static enum err open_sockets(struct dns *d, const struct config *config, struct diag *why)
{
    for (size_t i = 0; i < d->parts.listen->count; i++) {
        enum err e = bind_address(d, &d->parts.listen->at[i], why);
        if (e)
            return diag_prefix(why, e, "dns-listen");
    }
    enum err e = open_forward(d, &config->dns_forward, why);
    return e ? diag_prefix(why, e, "dns-forward") : OK;
}

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
    enum err e = open_sockets(d, config, why);
    d->parts.listen = NULL;
    if (e)
        dns_close(d);
    else
        *ret = d;
    return e;
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
