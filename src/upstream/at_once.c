#include "upstream/at_once.h"

#include "route/name.h"
#include "route/route.h"

#define LOOKED_AT_MAX SERVICE_SUBSET

static size_t count_looked_at(const struct service *s)
{
    return s->endpoint_count < LOOKED_AT_MAX ? s->endpoint_count : LOOKED_AT_MAX;
}

static bool has_large_transfers(const struct at_once *a, const struct endpoint *e)
{
    return connector_has_large_transfers(connectors_for(a->connectors, e), e->key);
}

static uint32_t count_paths(const struct at_once *a, const struct endpoint *e)
{
    return connector_count(connectors_for(a->connectors, e), e->key);
}

bool at_once_has_large_transfers(const struct at_once *a, const struct service *s)
{
    for (size_t i = 0; i < count_looked_at(s); i++)
        if (has_large_transfers(a, s->endpoints[i]))
            return true;
    return false;
}

static bool is_bound(const struct choice *c)
{
    return c->service->sticky || c->service->endpoint_count < 2 ||
           c->route->name.kind == NAME_ENDPOINT || c->route->name.kind == NAME_POD;
}

static bool serves_at_once(const struct at_once *a, const struct choice *c,
                           const struct endpoint *e)
{
    uint16_t port = route_container_port(c->route, c->service, e, c->port_index);
    struct port_use use = { port, c->tls };

    return pool_has(a->pool, e, use, a->repeatable) ||
           connectors_have_room(a->connectors, e, port);
}

static struct endpoint *find_least_loaded(const struct at_once *a, const struct choice *c)
{
    struct endpoint *best = NULL;

    for (size_t i = 0; i < count_looked_at(c->service); i++) {
        struct endpoint *e = c->service->endpoints[i];
        if (!balance_is_fit(a->balance, c, e) || !serves_at_once(a, c, e))
            continue;
        if (!best || balance_prefers(a->balance, e, best))
            best = e;
    }
    return best;
}

struct endpoint *at_once_choose(const struct at_once *a, const struct choice *c,
                                struct endpoint *chosen)
{
    if (is_bound(c) || serves_at_once(a, c, chosen))
        return chosen;
    struct endpoint *other = find_least_loaded(a, c);
    return other ? other : chosen;
}

bool at_once_lacks_more(const struct at_once *a, const struct choice *c,
                        const struct endpoint *e)
{
    for (size_t i = 0; i < count_looked_at(c->service); i++) {
        const struct endpoint *other = c->service->endpoints[i];
        if (other != e && count_paths(a, other) > 1)
            return false;
    }
    return true;
}

struct endpoint *at_once_second(const struct at_once *a, const struct choice *c,
                                const struct endpoint *first)
{
    const struct service *s = c->service;
    size_t n = choice_limit(c), at = 0;

    if (is_bound(c))
        return NULL;
    while (at < n && s->endpoints[at] != first)
        at++;
    for (size_t i = 1; i < n && i < LOOKED_AT_MAX; i++) {
        struct endpoint *e = s->endpoints[(at + i) % n];
        if (e != first && balance_is_fit(a->balance, c, e))
            return e;
    }
    return NULL;
}

void at_once_prepare(const struct at_once *a, uint64_t now, const struct endpoint *e)
{
    struct demand one = { .peak = 1, .since = now, .last_opening_at = now };
    connector_expect(connectors_for(a->connectors, e), e, 1, &one);
}
