#include "upstream/choosing.h"

#include "route/route.h"

LOG_MODULE(upstream);

static struct port_use use_of(const struct choice *c, const struct endpoint *e)
{
    uint16_t port = route_container_port(c->route, c->service, e, c->port_index);

    return (struct port_use){ port, c->tls };
}

/* The pod at the other end of a paired connection, as long as the route leads there. */
static struct endpoint *choose_paired(const struct choosing *c, const struct want *want,
                                      const struct choice *choice)
{
    const struct service *s = choice->service;

    for (size_t i = 0; want->pair && i < s->endpoint_count; i++) {
        struct endpoint *e = s->endpoints[i];
        if (balance_may_choose(c->balance, choice, e) &&
            pool_has_paired(c->pool, e, use_of(choice, e), want->pair))
            return e;
    }
    return NULL;
}

/* Use this endpoint, with an idle connection to it if one may be used. */
static void take(const struct choosing *c, const struct want *want,
                 const struct choice *choice, struct endpoint *e, struct chosen *ret)
{
    struct pool_want wish = { .repeatable = want->repeatable, .alone = want->alone };
    struct port_use use = use_of(choice, e);

    endpoint_unref(ret->endpoint);
    ret->endpoint = endpoint_ref(e);
    ret->port = use.port;
    log_debug(want->id, "pod chosen", LOG_S("pod", e->pod), LOG_U("port", ret->port));
    if (want->proto == PROTO_RAW)
        return;
    ret->is_paired =
        want->pair && pool_take_paired(c->pool, e, use, want->pair, &ret->idle);
    ret->is_idle = ret->is_paired || pool_take(c->pool, e, use, wish, &ret->idle);
    if (!ret->is_idle)
        return;
    stream_set_alone(ret->idle.stream, want->alone);
    stream_lend(ret->idle.stream, true);
}

/* With TLS, the pod chooses in the handshake of the first connection (ALPN). */
static bool is_for_http2(enum app_proto proto, enum speaks speaks, bool tls)
{
    switch (proto) {
    case PROTO_HTTP1_OR_2:
        return speaks == SPEAKS_HTTP2 || (tls && speaks != SPEAKS_HTTP1);
    case PROTO_HTTP:
        return speaks == SPEAKS_HTTP2 || speaks == SPEAKS_HTTP2_ALSO ||
               (tls && speaks == SPEAKS_UNKNOWN);
    default:
        return proto == PROTO_HTTP2;
    }
}

/* Use a stream of an HTTP/2 connection if the port is known to speak HTTP/2, or if the request
 * needs it (PROTO_HTTP2).  False: the request gets an HTTP/1 connection. */
static bool take_shared(const struct choosing *c, const struct want *want,
                        const struct choice *choice, struct endpoint *e,
                        struct chosen *ret)
{
    bool declares = choice->port_index < choice->service->port_count && !choice->tls;
    struct port_use use = use_of(choice, e);

    if (want->proto == PROTO_RAW || want->proto == PROTO_HTTP1)
        return false;
    ret->speaks =
        h2_pool_speaks(c->h2_pool, e, use,
                       declares ? &choice->service->ports[choice->port_index] : NULL);
    ret->is_shared = is_for_http2(want->proto, ret->speaks, choice->tls != 0);
    if (!ret->is_shared)
        return false;
    log_debug(want->id, "pod chosen", LOG_S("pod", e->pod), LOG_U("port", use.port),
              LOG_S("protocol", "HTTP/2"));
    ret->endpoint = endpoint_ref(e);
    ret->port = use.port;
    return true;
}

/* Take an endpoint that needs no dial, for a small request.  A tunnel to the first choice is
 * dialled in the background, and one to a second ready endpoint when the request is over. */
static void take_at_once(const struct choosing *c, const struct want *want,
                         const struct choice *choice, struct endpoint *first,
                         struct chosen *ret)
{
    struct at_once a = { c->pool, c->connectors, c->balance, want->repeatable };
    struct endpoint *e = at_once_choose(&a, choice, first);

    if (e != first) {
        connector_make_room(connectors_for(c->connectors, first), first->key);
        at_once_prepare(&a, c->sched->now, first);
    }
    struct endpoint *second = c->prepare_second ? at_once_second(&a, choice, e) : NULL;
    ret->second = second ? endpoint_ref(second) : NULL;
    ret->prewarm = at_once_lacks_more(&a, choice, e);
    if (e != first)
        take(c, want, choice, e, ret);
}

static bool is_small(const struct choosing *c, const struct want *want,
                     const struct choice *choice)
{
    struct at_once a = { c->pool, c->connectors, c->balance, want->repeatable };

    return want->small && !at_once_has_large_transfers(&a, choice->service);
}

bool choosing_run(const struct choosing *c, const struct want *want,
                  const struct choice *choice, struct chosen *ret)
{
    struct endpoint *e = choose_paired(c, want, choice);

    if (!e)
        e = balance_choose(c->balance, choice);
    if (!e)
        return false;
    if (take_shared(c, want, choice, e, ret))
        return true;
    take(c, want, choice, e, ret);
    if (ret->is_idle)
        return true;
    ret->small = is_small(c, want, choice);
    if (ret->small)
        take_at_once(c, want, choice, e, ret);
    return true;
}
