/* listen/listeners.c - accept clients on a socket and pass them to serve/ */
#include "listen/listeners.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/log.h"
#include "base/own.h"
#include "listen/service_sockets.h"
#include "net/own_addresses.h"
#include "net/tcp.h"
#include "serve/serve.h"

LOG_MODULE(listen);

#define HTTP_PORT 80

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
    if (d->exposed || d->services)
        stream_abort(client);
    else
        serve_refuse_user(d->all->serve, client, from, flag);
}

/* A listener for all services with one port finds the one of the address. */
static struct exposed *exposed_at(const struct listen_socket *d, int fd)
{
    struct sockaddr_in at = { .sin_addr = d->at };
    socklen_t len = sizeof(at);

    if (!d->services)
        return d->exposed;
    if (!d->at.s_addr && getsockname(fd, (struct sockaddr *)&at, &len))
        return NULL;
    return d->services->find(d->services->owner, at.sin_addr, d->port);
}

/* Only a client that may connect counts as a use of a service's address: another user could keep
 * any number of them open. */
static void pass_on(const struct listen_socket *d, int fd, struct stream *client,
                    const struct arrival *from)
{
    struct exposed *exposed = exposed_at(d, fd);

    if (exposed)
        serve_accept_raw(d->all->serve, client, from, exposed);
    else if (d->services)
        stream_abort(client);
    else
        serve_accept(d->all->serve, client, from);
}

/* Containers have addresses that this machine does not have.  A program that has one of them is
 * of this machine, and its user is checked. */
static struct peer identify(const struct listen_socket *d, int fd,
                            const struct sockaddr *far)
{
    char ip[INET6_ADDRSTRLEN];

    if (d->bridge && address_ip_text(far, ip) && own_addresses_include(d->all->own, ip))
        return peer_identify_local(d->all->loop, fd, far);
    return peer_identify(d->all->loop, fd, far);
}

static void on_client(void *owner, int fd, const struct sockaddr *peer)
{
    struct listen_socket *d = owner;
    char address[ADDRESS_TEXT];
    const struct peer identity = identify(d, fd, peer);
    const struct arrival from = {
        .address = address,
        .peer = identity,
        .port = d->port,
        .loopback = d->loopback,
        .same_user = clients_are_same_user(d->all->clients, &identity),
    };

    address_text(peer, address);
    struct stream *client = tcp_open_accepted(d->all->loop, fd);
    if (clients_allow(d->all->clients, &from.peer))
        pass_on(d, fd, client, &from);
    else
        refuse_user(d, client, &from);
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

    if (d->exposed || d->services)
        stream_abort(client);
    else
        serve_turn_away(d->all->serve, client);
}

static void log_listening(const struct listen_socket *d)
{
    const struct exposed *exposed = d->exposed;

    if (exposed)
        log_info(NO_ID, "listening", LOG_S("address", d->address),
                 LOG_S("exposes", exposed->route.name.text),
                 LOG_U("port", exposed->route.port));
    else
        log_info(NO_ID, "listening", LOG_S("address", d->address));
}

void listen_socket_start(struct listen_socket *d, int fd)
{
    d->listener = listener_open(d->all->loop, fd, on_client, d);
    listener_on_shortage(d->listener, free_descriptor, refuse_client);
}

static struct listen_address *copy_address(const struct listen_address *a)
{
    struct listen_address *copy = xmalloc(sizeof(*copy));

    *copy = *a;
    return copy;
}

void listen_socket_open(struct listeners *l, int fd, const struct wanted *w)
{
    struct listen_socket *d = xcalloc(1, sizeof(*d));
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);
    char key[WANTED_KEY_SIZE] = "", address[ADDRESS_TEXT];

    if (w)
        wanted_key(w, l->in_pod, key);
    getsockname(fd, (struct sockaddr *)&at, &len);
    address_text((struct sockaddr *)&at, address);
    d->address = xstrdup(address);
    d->all = l;
    d->port = at.ss_family == AF_UNIX ? HTTP_PORT : address_port((struct sockaddr *)&at);
    d->loopback = at.ss_family == AF_UNIX || address_is_loopback((struct sockaddr *)&at);
    d->exposed = exposed_ref(w ? w->exposed : NULL);
    d->key = xstrdup(key);
    d->group = l->groups;
    if (w)
        d->wanted = copy_address(&w->address);
    listen_socket_start(d, fd);
    list_append(&l->sockets, &d->node);
    log_listening(d);
}

void listen_sockets_open(struct listeners *l, const struct listen_sockets *sockets,
                         const struct wanted *w)
{
    l->groups++;
    for (size_t i = 0; i < sockets->count; i++)
        listen_socket_open(l, sockets->fds[i], w);
}

void listen_socket_close(struct listen_socket *d)
{
    list_remove(&d->node);
    listener_close(d->listener);
    exposed_unref(d->exposed);
    free(d->key);
    free(d->address);
    free(d->wanted);
    free(d);
}

static bool is_wildcard(const struct listeners *l, const struct wanted *w)
{
    const char *host = w->address.host;

    return host[0] ? strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
                         strcmp(host, "::") == 0
                   : l->in_pod;
}

const struct listen_socket *listeners_at_services(const struct listeners *l,
                                                  const struct wanted *w)
{
    list_for_each (d, &l->service_sockets, struct listen_socket, node)
        if (d->port == w->address.port && (!d->at.s_addr || is_wildcard(l, w)))
            return d;
    return NULL;
}

bool listeners_take_from_services(struct listeners *l, const struct wanted *w)
{
    const struct listen_socket *d = listeners_at_services(l, w);

    if (!d)
        return false;
    d->services->give_up(d->services->owner, d->port);
    return true;
}
