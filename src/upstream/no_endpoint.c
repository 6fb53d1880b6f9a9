#include "upstream/no_endpoint.h"

#define LATELY_MS 60000 /* if an endpoint was ready within this time, one is expected */

static bool is_expected(const struct service *s, uint64_t now)
{
    return s->pods_seen > s->pods_over || s->endpoint_count > 0 ||
           (s->last_ready && now - s->last_ready < LATELY_MS);
}

/* Ready endpoints exist and none has the port: waiting does not change that. */
static bool lacks_port(const struct route *r, const struct service *s, size_t index)
{
    bool any = false;

    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint *e = s->endpoints[i];
        if (!e->ready || !route_matches(r, e))
            continue;
        if (route_container_port(r, s, e, index))
            return false;
        any = true;
    }
    return any;
}

static struct no_endpoint permanent(enum err e)
{
    return (struct no_endpoint){ .result = e };
}

/* "db-9.db.shop": no pod of this name is expected, so there is nothing to wait for. */
static struct no_endpoint no_such_endpoint(const struct route *r, const struct service *s,
                                           struct diag *why)
{
    return permanent(diag_set(why, ERR_UNAVAILABLE,
                              "service %s has no endpoint \"%.*s\"; it has %zu others",
                              s->name, STR_ARG(r->name.endpoint), s->endpoint_count));
}

static struct no_endpoint no_such_port(const struct service *s, size_t index,
                                       struct diag *why)
{
    const struct service_port *p = &s->ports[index];
    bool named = p->target_name != NULL;

    return permanent(diag_set(why, ERR_UNAVAILABLE,
                              "port %u of %s \"%s\" leads to the container port%s%s, "
                              "which no ready pod has",
                              p->number, route_plural(s), s->name, named ? " " : "",
                              named ? p->target_name : ""));
}

struct no_endpoint no_endpoint_cause(const struct route *route, const struct service *s,
                                     size_t port_index, uint64_t now, struct diag *why)
{
    if (route->name.kind == NAME_ENDPOINT && s->endpoint_count)
        return no_such_endpoint(route, s, why);
    if (port_index < s->port_count && lacks_port(route, s, port_index))
        return no_such_port(s, port_index, why);
    diag_set(why, ERR_UNAVAILABLE, "%s",
             s->pods_note        ? s->pods_note
             : s->endpoint_count ? "none of its pods is ready"
                                 : "no pod matches its selector");
    return (struct no_endpoint){ ERR_UNAVAILABLE, is_expected(s, now) };
}
