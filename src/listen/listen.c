/* listen/listen.c - the sockets that accept clients */
#include "listen/listen.h"

#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/own.h"
#include "listen/clients.h"
#include "listen/listen_sockets.h"
#include "listen/inherited.h"
#include "net/tcp.h"
#include "serve/exposed.h"
#include "serve/serve.h"

LOG_MODULE(listen);

#define HTTP_PORT 80
#define FALLBACK_PORT 8080
#define TLS_PORT 443
#define TLS_FALLBACK_PORT 8443

struct listen_socket {
    struct list_node node;
    struct listeners *all;
    struct listener *listener;
    char address[ADDRESS_TEXT];
    uint16_t port;
    bool loopback;           /* only reachable from this machine */
    struct exposed *exposed; /* the service port if this is an exposed port; else NULL */
};

struct listeners {
    struct loop *loop;
    struct serve *serve;
    struct clients *clients;
    struct list_node sockets;
};

static void listeners_closep(struct listeners **l)
{
    listeners_close(*l);
}

/* Logs a warning.  Warnings are limited per second, so that a user cannot fill the
 * log. */
static void refuse_user(const struct listen_socket *d, struct stream *client,
                        const struct arrival *from)
{
    AUTO_FREE char *value = clients_that_allow(d->all->clients, &from->peer);
    AUTO_FREE char *flag = xasprintf("--clients %s", value);
    const char *text = "a client of this machine is refused";

    if (from->peer.kind == PEER_LOCAL)
        log_warn(NO_ID, text, LOG_S("client", from->address),
                 LOG_U("uid", from->peer.uid), LOG_S("allowed_by", flag));
    else
        log_warn(NO_ID, text, LOG_S("client", from->address), LOG_S("uid", "unknown"),
                 LOG_S("allowed_by", flag));
    if (d->exposed)
        stream_abort(client);
    else
        serve_refuse_user(d->all->serve, client, from, flag);
}

static void on_client(void *owner, int fd, const struct sockaddr *peer)
{
    struct listen_socket *d = owner;
    char address[ADDRESS_TEXT];
    const struct arrival from = {
        .address = address,
        .peer = peer_identify(d->all->loop, fd, peer),
        .port = d->port,
        .loopback = d->loopback,
    };

    address_text(peer, address);
    struct stream *client = tcp_open_accepted(d->all->loop, fd);
    if (!clients_allow(d->all->clients, &from.peer))
        refuse_user(d, client, &from);
    else if (d->exposed)
        serve_accept_raw(d->all->serve, client, &from, d->exposed);
    else
        serve_accept(d->all->serve, client, &from);
}

static bool free_descriptor(void *owner)
{
    const struct listen_socket *d = owner;

    return serve_free_descriptor(d->all->serve);
}

static void refuse_client(void *owner, int fd)
{
    const struct listen_socket *d = owner;
    struct stream *client = tcp_open(d->all->loop, fd, 0, 0);

    if (d->exposed)
        stream_abort(client);
    else
        serve_turn_away(d->all->serve, client);
}

/* Accept on this socket, which is taken over. */
static void listen_socket_open(struct listeners *l, int fd, struct exposed *exposed)
{
    struct listen_socket *d = xcalloc(1, sizeof(*d));
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    getsockname(fd, (struct sockaddr *)&at, &len);
    address_text((struct sockaddr *)&at, d->address);
    d->all = l;
    d->port = at.ss_family == AF_UNIX ? HTTP_PORT : address_port((struct sockaddr *)&at);
    d->loopback = at.ss_family == AF_UNIX || address_is_loopback((struct sockaddr *)&at);
    d->exposed = exposed_ref(exposed);
    d->listener = listener_open(l->loop, fd, on_client, d);
    listener_on_shortage(d->listener, free_descriptor, refuse_client);
    list_append(&l->sockets, &d->node);
    if (exposed)
        log_info(NO_ID, "listening", LOG_S("address", d->address),
                 LOG_S("exposes", exposed->route.name.text),
                 LOG_U("port", exposed->route.port));
    else
        log_info(NO_ID, "listening", LOG_S("address", d->address));
}

static void listen_socket_close(struct listen_socket *d)
{
    list_remove(&d->node);
    listener_close(d->listener);
    exposed_unref(d->exposed);
    free(d);
}

static void open_all(struct listeners *l, const struct listen_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        listen_socket_open(l, sockets->fds[i], NULL);
}

/* The message about a port that is not available also names the flag that chooses another. */
static enum err advise(enum err e, const char *how, struct diag *why)
{
    if (e != ERR_IN_USE && e != ERR_ACCESS)
        return e;
    struct diag old = *why;
    return diag_set(why, e, "%s; choose another with %s", old.text, how);
}

static enum err open_address(struct listeners *l, const struct listen_address *a,
                             bool in_pod, const char *flag, struct diag *why)
{
    struct listen_sockets sockets;
    enum err e = listen_sockets_bind(a, in_pod, &sockets, why);

    if (e)
        return advise(e, flag, why);
    open_all(l, &sockets);
    return OK;
}

static void log_fallback(void)
{
    char program[PATH_MAX] = "";
    bool known = readlink("/proc/self/exe", program, sizeof(program) - 1) > 0;
    AUTO_FREE char *setcap = xasprintf("sudo setcap cap_net_bind_service=+ep %s",
                                       known ? program : "kube-tunnel");

    log_warn(NO_ID,
             "port 80 needs a privilege, so it is port 8080 for now "
             "(curl http://SERVICE.NAMESPACE.localhost:8080/); three ways to get 80:",
             LOG_S("setcap", setcap),
             LOG_S("sysctl", "sudo sysctl net.ipv4.ip_unprivileged_port_start=80"),
             LOG_S("systemd", "sudo systemctl enable --now kube-tunnel.socket"));
}

/* Names the default in the message, because no setting has this port. */
static enum err explain_default(enum err e, uint16_t port, struct diag *why)
{
    if (e == ERR_IN_USE && port == FALLBACK_PORT) {
        struct diag old = *why;
        diag_set(why, e, "%s (instead of 80, which needs a privilege)", old.text);
    }
    return advise(e, "--port or --listen", why);
}

/* Opens the default listeners.  In a pod there is no fallback to 8080: its manifest must
 * allow port 80, and another port would hide that it does not. */
static enum err open_default(struct listeners *l, bool in_pod, struct diag *why)
{
    struct listen_address address = { .port = HTTP_PORT };
    struct listen_sockets sockets;
    enum err e = listen_sockets_bind(&address, in_pod, &sockets, why);

    if (e == ERR_ACCESS && !in_pod) {
        address.port = FALLBACK_PORT;
        e = listen_sockets_bind(&address, in_pod, &sockets, why);
        if (!e)
            log_fallback();
    }
    if (e)
        return explain_default(e, address.port, why);
    open_all(l, &sockets);
    return OK;
}

/* Opens --tls-port on the default addresses. */
static enum err open_tls_port(struct listeners *l, uint16_t port, bool in_pod,
                              struct diag *why)
{
    const struct listen_address address = { .port = port };
    struct listen_sockets sockets;
    enum err e = listen_sockets_bind(&address, in_pod, &sockets, why);

    if (!e)
        open_all(l, &sockets);
    return e;
}

/* Opens 443 or 8443.  Without a setting it is no error if neither can be bound. */
static void open_default_tls_port(struct listeners *l)
{
    struct diag why = { "" }, again = { "" };

    if (!open_tls_port(l, TLS_PORT, false, &why))
        return;
    if (!open_tls_port(l, TLS_FALLBACK_PORT, false, &again))
        log_info(NO_ID, "https:// URLs need a port: 443 cannot be had, 8443 is used",
                 LOG_S("reason", why.text));
    else
        log_info(NO_ID,
                 "https:// URLs need the port of this listener: neither 443 nor "
                 "8443 can be had",
                 LOG_S("reason", why.text));
}

/* by_default: no setting has a listener. */
static enum err open_tls(struct listeners *l, const struct config *config, bool in_pod,
                         bool by_default, struct diag *why)
{
    if (config->tls_port == COUNT_AUTO) {
        if (by_default && !in_pod)
            open_default_tls_port(l);
        return OK;
    }
    if (!config->tls_port)
        return OK;
    return advise(open_tls_port(l, (uint16_t)config->tls_port, in_pod, why), "--tls-port",
                  why);
}

uint16_t listen_default_port(bool in_pod)
{
    struct listen_address address = { .port = HTTP_PORT };
    struct listen_sockets sockets = { .count = 0 };
    enum err e = listen_sockets_bind(&address, in_pod, &sockets, NULL);

    for (size_t i = 0; i < sockets.count; i++)
        close(sockets.fds[i]);
    return e == ERR_ACCESS && !in_pod ? FALLBACK_PORT : HTTP_PORT;
}

static enum err open_configured(struct listeners *l, const struct config *config,
                                bool in_pod, struct diag *why)
{
    struct listen_address own_port = { .port = config->port };
    enum err e = OK;

    for (size_t i = 0; !e && i < config->listen.count; i++)
        e = open_address(l, &config->listen.at[i], in_pod, "--listen", why);
    if (!e && config->listen.count == 0 && config->port)
        e = open_address(l, &own_port, in_pod, "--port", why);
    return e;
}

static enum err explain_exposed(enum err e, const struct expose *x, struct diag *why)
{
    AUTO_FREE char *how = xasprintf("--expose %s:%s=LOCAL", x->name, x->port);

    advise(e, how, why);
    return diag_prefix(why, e, "expose %s:%s", x->name, x->port);
}

static enum err expose(struct listeners *l, const struct expose *x, struct str zone,
                       bool in_pod, struct diag *why)
{
    AUTO(exposed_unrefp) struct exposed *exposed = NULL;
    struct listen_sockets sockets;
    enum err e = exposed_create(x, zone, &exposed, why);

    if (e)
        return e;
    e = listen_sockets_bind(&x->local, in_pod, &sockets, why);
    if (e)
        return explain_exposed(e, x, why);
    for (size_t i = 0; i < sockets.count; i++)
        listen_socket_open(l, sockets.fds[i], exposed);
    return OK;
}

static enum err open_exposed(struct listeners *l, const struct config *config,
                             bool in_pod, struct diag *why)
{
    struct str zone = str_of(config->cluster_domain);
    enum err e = OK;

    for (size_t i = 0; !e && i < config->expose.count; i++)
        e = expose(l, &config->expose.at[i], zone, in_pod, why);
    return e;
}

static enum err choose_clients(struct listeners *l, const struct config *config,
                               bool inherited, bool in_pod, struct diag *why)
{
    struct start start = start_look(inherited, in_pod);

    return clients_create(&config->clients, &start, &l->clients, why);
}

enum err listeners_open(struct loop *loop, struct serve *serve,
                        const struct config *config, bool in_pod, struct listeners **ret,
                        struct diag *why)
{
    AUTO(listeners_closep) struct listeners *l = xcalloc(1, sizeof(*l));
    size_t inherited = 0;

    l->loop = loop;
    l->serve = serve;
    list_init(&l->sockets);
    enum err e = inherited_take(&inherited, why);
    if (!e)
        e = choose_clients(l, config, inherited > 0, in_pod, why);
    for (size_t i = 0; i < inherited; i++)
        listen_socket_open(l, INHERITED_FIRST + (int)i, NULL);
    if (!e)
        e = open_configured(l, config, in_pod, why);
    bool by_default = list_empty(&l->sockets);
    if (!e && by_default)
        e = open_default(l, in_pod, why);
    if (!e)
        e = open_tls(l, config, in_pod, by_default, why);
    if (!e)
        e = open_exposed(l, config, in_pod, why);
    if (e)
        return e;
    log_info(NO_ID, "users of this machine that may connect",
             LOG_S("clients", clients_text(l->clients)));
    *ret = TAKE(l);
    return OK;
}

void listeners_each(const struct listeners *l,
                    void (*each)(void *owner, const struct listener_status *),
                    void *owner)
{
    if (!l)
        return;
    list_for_each (d, &l->sockets, struct listen_socket, node) {
        const struct exposed *x = d->exposed;
        const char *port_name = x && x->port_name[0] ? x->port_name : NULL;
        const struct listener_status s = { d->address, d->loopback,
                                           x ? x->route.name.text : NULL, port_name,
                                           x ? x->route.port : 0 };
        each(owner, &s);
    }
}

bool listeners_have_port(const struct listeners *l, uint16_t port)
{
    if (!l)
        return false;
    list_for_each (d, &l->sockets, struct listen_socket, node)
        if (d->port == port)
            return true;
    return false;
}

void listeners_close(struct listeners *l)
{
    if (!l)
        return;
    list_for_each (d, &l->sockets, struct listen_socket, node)
        listen_socket_close(d);
    clients_destroy(l->clients);
    free(l);
}
