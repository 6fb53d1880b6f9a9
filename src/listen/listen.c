/* listen/listen.c - the sockets that accept clients */
#include "listen/listen.h"

#include <assert.h>

#include "base/log.h"
#include "base/own.h"
#include "listen/bridge.h"
#include "listen/change.h"
#include "listen/inherited.h"
#include "listen/listeners.h"
#include "net/own_addresses.h"

LOG_MODULE(listen);

static void listeners_closep(struct listeners **l)
{
    listeners_close(*l);
}

enum err listeners_open(struct loop *loop, struct serve *serve,
                        const struct config *config, bool in_pod, struct listeners **ret,
                        struct diag *why)
{
    AUTO(listeners_closep) struct listeners *l = xcalloc(1, sizeof(*l));
    struct listeners_change *change;
    size_t inherited = 0;

    l->loop = loop;
    l->serve = serve;
    l->in_pod = in_pod;
    list_init(&l->sockets);
    list_init(&l->service_sockets);
    l->own = own_addresses_create(loop_sched(loop));
    l->bridges = bridges_create(l);
    enum err e = inherited_take(&inherited, why);
    l->inherited = inherited > 0;
    l->start = start_look(l->inherited, in_pod);
    for (size_t i = 0; !e && i < inherited; i++)
        listen_socket_open(l, INHERITED_FIRST + (int)i, NULL);
    if (!e)
        e = listeners_prepare(l, config, &change, why);
    if (e)
        return e;
    listeners_commit(change);
    log_info(NO_ID, "users of this machine that may connect",
             LOG_S("clients", clients_text(l->clients)));
    *ret = TAKE(l);
    return OK;
}

enum err listen_check(const struct config *config, bool in_pod, char *ret, size_t size,
                      struct diag *why)
{
    return wanted_check(config, in_pod, ret, size, why);
}

uint16_t listen_default_port(bool in_pod)
{
    return wanted_default_port(in_pod);
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
    bridges_destroy(l->bridges);
    own_addresses_destroy(l->own);
    list_for_each (d, &l->sockets, struct listen_socket, node)
        listen_socket_close(d);
    assert(list_empty(&l->service_sockets));
    clients_destroy(l->clients);
    free(l);
}
