/* listen/change.c - change the listeners while they accept */
#include "listen/change.h"

#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "listen/bridge.h"
#include "listen/listeners.h"
#include "listen/service_sockets.h"
#include "net/tcp.h"
#include "serve/serve.h"

LOG_MODULE(listen);

struct listeners_change {
    struct listeners *all;
    const struct config *config; /* a reference */
    struct wanted_list wanted;
    struct listen_sockets
        *bound;              /* of each wanted one; count 0: it is open, or optional */
    struct clients *clients; /* taken over by the commit */
    /* listeners that were closed because their address overlaps a wanted one */
    struct wanted *suspended;
    size_t suspended_count;
};

/* --- which listeners stay --- */

static struct listen_socket *find_unclaimed(struct listeners *l, const char *key)
{
    list_for_each (d, &l->sockets, struct listen_socket, node)
        if (!d->claim && d->key[0] && strcmp(d->key, key) == 0)
            return d;
    return NULL;
}

static bool claim_port(struct listeners *l, struct wanted *w)
{
    char key[WANTED_KEY_SIZE];

    wanted_key(w, l->in_pod, key);
    const struct listen_socket *first = find_unclaimed(l, key);
    if (!first)
        return false;
    list_for_each (d, &l->sockets, struct listen_socket, node)
        if (d->key[0] && d->group == first->group)
            d->claim = w;
    return true;
}

/* A default listener that uses its second port keeps it. */
static void claim(struct listeners *l, struct wanted *w)
{
    struct listen_address first = w->address;

    do
        w->found = claim_port(l, w);
    while (!w->found && wanted_next_port(w));
    if (!w->found)
        w->address = first;
}

static void claim_all(struct listeners_change *c)
{
    list_for_each (d, &c->all->sockets, struct listen_socket, node)
        d->claim = NULL;
    for (size_t i = 0; i < c->wanted.count; i++)
        claim(c->all, &c->wanted.at[i]);
}

static bool is_given_up(const struct listen_socket *d)
{
    return d->key[0] && !d->claim && !d->added;
}

/* --- overlapping addresses --- */

static void remember(struct listeners_change *c, const struct listen_socket *d)
{
    for (size_t i = 0; i < c->suspended_count; i++)
        if (c->suspended[i].address.port == d->wanted->port &&
            strcmp(c->suspended[i].address.host, d->wanted->host) == 0)
            return; /* the second socket of a pair */
    c->suspended =
        xrealloc(c->suspended, (c->suspended_count + 1) * sizeof(*c->suspended));
    c->suspended[c->suspended_count++] =
        (struct wanted){ .kind = WANTED_ADDRESS,
                         .address = *d->wanted,
                         .flag = "--listen",
                         .exposed = exposed_ref(d->exposed) };
}

static bool is_suspendable(const struct listen_socket *d, uint16_t port)
{
    return is_given_up(d) && d->port == port && d->wanted->port != 0;
}

static bool overlaps(const struct listeners_change *c, const struct wanted *w)
{
    list_for_each (d, &c->all->sockets, struct listen_socket, node)
        if (is_suspendable(d, w->address.port))
            return true;
    return listeners_at_services(c->all, w) != NULL;
}

/* Closes the listeners on this port that are given up; the clients that wait on them are
 * accepted before. */
static void suspend(struct listeners_change *c, const struct wanted *w)
{
    uint16_t port = w->address.port;

    listeners_take_from_services(c->all, w);
    list_for_each (d, &c->all->sockets, struct listen_socket, node) {
        if (!is_suspendable(d, port))
            continue;
        remember(c, d);
        listener_accept_waiting(d->listener);
        listen_socket_close(d);
    }
}

static void resume(struct listeners_change *c)
{
    for (size_t i = 0; i < c->suspended_count; i++) {
        struct listen_sockets sockets = { .count = 0 };
        struct diag why = { "" };
        enum err e = wanted_bind(&c->suspended[i], c->all->in_pod, &sockets, &why);
        if (e)
            log_error(NO_ID, "a listener was lost in a reload that was refused",
                      LOG_S("reason", diag_text(&why, e)));
        else
            listen_sockets_open(c->all, &sockets, &c->suspended[i]);
    }
}

/* --- the change --- */

/* *ret_overlaps: it can be bound only when listeners that are given up are closed. */
static enum err bind_one(struct listeners_change *c, size_t i, bool *ret_overlaps,
                         struct diag *why)
{
    struct wanted *w = &c->wanted.at[i];
    struct listen_address first = w->address;
    enum err e = wanted_bind(w, c->all->in_pod, &c->bound[i], why);

    *ret_overlaps = e == ERR_IN_USE && overlaps(c, &(struct wanted){ .address = first });
    if (e)
        c->bound[i].count = 0;
    if (*ret_overlaps)
        w->address = first;
    return *ret_overlaps ? OK : e;
}

/* The others come first: where one of them fails, no listener was closed. */
static enum err bind_all(struct listeners_change *c, struct diag *why)
{
    enum err e = OK;
    size_t count = c->wanted.count;
    AUTO_FREE bool *later = xcalloc(count + 1, sizeof(*later));

    c->bound = xcalloc(count + 1, sizeof(*c->bound));
    for (size_t i = 0; !e && i < count; i++)
        if (!c->wanted.at[i].found)
            e = bind_one(c, i, &later[i], why);
    for (size_t i = 0; !e && i < count; i++) {
        if (!later[i])
            continue;
        suspend(c, &c->wanted.at[i]);
        e = wanted_bind(&c->wanted.at[i], c->all->in_pod, &c->bound[i], why);
        if (e)
            c->bound[i].count = 0;
    }
    return e;
}

enum err listeners_prepare(struct listeners *l, const struct config *config,
                           struct listeners_change **ret, struct diag *why)
{
    struct listeners_change *c = xcalloc(1, sizeof(*c));

    c->all = l;
    c->config = config_ref(config);
    enum err e = clients_create(&config->clients, &l->start, &c->clients, why);
    if (!e)
        e = wanted_of(config, l->inherited, l->in_pod, &c->wanted, why);
    if (!e) {
        claim_all(c);
        e = bind_all(c, why);
    }
    if (e) {
        listeners_discard(c);
        return e;
    }
    *ret = c;
    return OK;
}

static void change_destroy(struct listeners_change *c)
{
    for (size_t i = 0; i < c->suspended_count; i++)
        exposed_unref(c->suspended[i].exposed);
    free(c->suspended);
    free(c->bound);
    wanted_finish(&c->wanted);
    clients_destroy(c->clients);
    config_unref(c->config);
    free(c);
}

void listeners_discard(struct listeners_change *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->bound && i < c->wanted.count; i++)
        for (size_t j = 0; j < c->bound[i].count; j++)
            close(c->bound[i].fds[j]);
    resume(c);
    change_destroy(c);
}

static void serve_claim(struct listen_socket *d)
{
    struct exposed *before = d->exposed;

    d->exposed = exposed_ref(d->claim->exposed);
    exposed_unref(before);
    d->claim = NULL;
    d->added = false;
}

static bool is_allowed(void *owner, const struct peer *peer)
{
    return clients_allow(owner, peer);
}

static void change_clients(struct listeners_change *c)
{
    struct listeners *l = c->all;
    struct clients *before = l->clients;

    l->clients = TAKE(c->clients);
    if (before)
        serve_close_clients(l->serve, is_allowed, l->clients);
    clients_destroy(before);
}

void listeners_commit(struct listeners_change *c)
{
    struct listeners *l = c->all;

    list_for_each (d, &l->sockets, struct listen_socket, node) {
        if (d->claim) {
            serve_claim(d);
        } else if (is_given_up(d)) {
            log_info(NO_ID, "no longer listening", LOG_S("address", d->address));
            listen_socket_close(d);
        }
    }
    for (size_t i = 0; i < c->wanted.count; i++)
        if (c->bound[i].count)
            listen_sockets_open(l, &c->bound[i], &c->wanted.at[i]);
    change_clients(c);
    bridges_configure(l->bridges, &c->config->listen);
    change_destroy(c);
}
