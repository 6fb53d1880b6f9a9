/* listen/expose.c - exposed ports that are added and removed while it runs */
#include "base/log.h"
#include "base/own.h"
#include "listen/listen.h"
#include "listen/listeners.h"

LOG_MODULE(listen);

enum err listeners_expose(struct listeners *l, const struct expose *x, struct str zone,
                          uint16_t *ret_port, struct diag *why)
{
    AUTO(exposed_unrefp) struct exposed *exposed = NULL;
    struct listen_sockets sockets;
    enum err e = exposed_create(x, zone, &exposed, why);

    if (e)
        return e;
    struct wanted w = {
        .kind = WANTED_EXPOSED, .address = x->local, .expose = x, .exposed = exposed
    };
    e = wanted_bind(&w, l->in_pod, &sockets, why);
    if (e == ERR_IN_USE && listeners_take_from_services(l, &w))
        e = wanted_bind(&w, l->in_pod, &sockets, why);
    if (e)
        return e;
    listen_sockets_open(l, &sockets, &w);
    struct listen_socket *last = list_last(&l->sockets, struct listen_socket, node);
    list_for_each (d, &l->sockets, struct listen_socket, node)
        d->added |= d->group == last->group;
    *ret_port = last->port;
    return OK;
}

size_t listeners_unexpose(struct listeners *l, uint16_t port)
{
    size_t closed = 0;

    list_for_each (d, &l->sockets, struct listen_socket, node) {
        if (!d->exposed || d->port != port)
            continue;
        log_info(NO_ID, "no longer listening", LOG_S("address", d->address),
                 LOG_S("exposes", d->exposed->route.name.text));
        listen_socket_close(d);
        closed++;
    }
    return closed;
}

size_t listeners_exposed(const struct listeners *l)
{
    size_t count = 0;

    list_for_each (d, &l->sockets, struct listen_socket, node)
        count += d->exposed != NULL;
    return count;
}
