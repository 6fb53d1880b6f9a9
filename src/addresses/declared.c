/* addresses/declared.c - the ports that are open at the address of a key, and where they lead */
#include "addresses/declared.h"

#include "base/own.h"
#include "catalog/service.h"
#include "route/route.h"

char *declared_name(const struct address_key *key)
{
    bool labelled = !str_empty(key->cluster);
    const char *after = labelled ? ".k8s" : "", *dot = labelled ? "." : "";

    if (str_empty(key->service))
        return xasprintf("%.*s.%.*s.pod%s%.*s%s", STR_ARG(key->pod), STR_ARG(key->ns),
                         dot, STR_ARG(key->cluster), after);
    return xasprintf("%.*s%s%.*s.%.*s.svc%s%.*s%s", STR_ARG(key->pod),
                     str_empty(key->pod) ? "" : ".", STR_ARG(key->service),
                     STR_ARG(key->ns), dot, STR_ARG(key->cluster), after);
}

static bool has_local(const struct declared *d, uint16_t local)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->at[i].local == local)
            return true;
    return false;
}

static void add_port(struct declared *d, uint16_t local, uint16_t target)
{
    if (local && !has_local(d, local))
        d->at[d->count++] = (struct declared_port){ local, target };
}

static const struct endpoint *find_endpoint(const struct name *endpoint,
                                            const struct service *s)
{
    struct route route = { .port = 0 };

    name_copy(&route.name, endpoint);
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (route_matches(&route, s->endpoints[i]))
            return s->endpoints[i];
    return NULL;
}

void declared_ports(const struct name *endpoint, const struct service *s,
                    struct declared *ret)
{
    const struct endpoint *e = NULL;

    ret->count = 0;
    if (s->kind == SERVICE_EXTERNAL)
        return;
    if (endpoint && !(e = find_endpoint(endpoint, s)))
        return;
    for (size_t i = 0; i < s->port_count && ret->count < DECLARED_MAX; i++) {
        uint16_t number = s->ports[i].number;
        if (s->ports[i].tcp)
            add_port(ret, e ? endpoint_port(s, e, i) : number, number);
    }
}
