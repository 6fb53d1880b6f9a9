/* upstream/external.c - follow a service of type ExternalName to the service it names */
#include "upstream/external.h"

#include "base/own.h"

static enum err refuse_foreign(const struct external_rules *rules,
                               const struct service *s, struct diag *why)
{
    const char *zone = rules->found_zone ? rules->found_zone : rules->zone;
    const char *target =
        s->external_name && *s->external_name ? s->external_name : "nothing";

    return diag_set(
        why, ERR_UNAVAILABLE,
        "services \"%s\" is an ExternalName for %s, which is no full name of a service "
        "of this cluster (*.svc.%s): it has no pods, connect to %s itself",
        s->name, target, zone, target);
}

/* Parse the target as a name in the cluster's domain `zone`.  If the request has a port name,
 * it applies to the target, too. */
static bool read_in_zone(const struct service *s, const struct route *route,
                         const char *zone, struct name *ret)
{
    const struct name *from = &route->name;
    AUTO_FREE char *host = str_empty(from->port_name)
                               ? xstrdup(s->external_name ? s->external_name : "")
                               : xasprintf("_%.*s._%s.%s", STR_ARG(from->port_name),
                                           from->udp ? "udp" : "tcp", s->external_name);

    name_parse(str_of(host), str_of(zone), ret);
    return ret->kind != NAME_INVALID && ret->kind != NAME_OWN &&
           ret->suffix == NAME_SUFFIX_ZONE;
}

static bool read_target(const struct external_rules *rules, const struct service *s,
                        const struct route *route, struct name *ret)
{
    return read_in_zone(s, route, rules->zone, ret) ||
           (rules->found_zone && read_in_zone(s, route, rules->found_zone, ret));
}

/* False: this ExternalName was followed before, or too many were. */
static bool note_seen(struct external *x, const struct service *s)
{
    AUTO_FREE char *key = xasprintf("%s/%s", s->ns, s->name);

    for (unsigned i = 0; i < x->hops; i++)
        if (strcmp(x->seen[i], key) == 0)
            return false;
    if (x->hops == EXTERNAL_HOPS_MAX)
        return false;
    x->seen[x->hops++] = TAKE(key);
    return true;
}

static enum err refuse_long(const struct external *x, const struct service *s,
                            struct diag *why)
{
    bool full = x->hops == EXTERNAL_HOPS_MAX;

    return diag_set(
        why, ERR_UNAVAILABLE,
        full ? "%s leads through more than 8 ExternalNames, the last is %s/%s"
             : "%s leads back to %s/%s: the ExternalNames on the way are a loop",
        x->seen[0], s->ns, s->name);
}

static enum err check_namespace(const struct external_rules *rules,
                                const struct service *s, const struct name *target,
                                bool same_ns, struct diag *why)
{
    if (rules->is_open && !rules->is_open(rules->owner, target->ns))
        return diag_set(why, ERR_CLOSED,
                        "services \"%s\" leads to %s, and namespace %.*s is closed",
                        s->name, s->external_name, STR_ARG(target->ns));
    if (same_ns && !str_eq(target->ns, str_of(s->ns)))
        return diag_set(why, ERR_CLOSED,
                        "services \"%s\" leads to %s, and requests of browsers are not "
                        "forwarded to another namespace: use the target's own name",
                        s->name, s->external_name);
    return OK;
}

enum err external_follow(struct external *x, const struct external_rules *rules,
                         const struct route *route, const struct service *s, bool same_ns,
                         struct diag *why)
{
    struct name target;

    if (!note_seen(x, s))
        return refuse_long(x, s, why);
    if (!read_target(rules, s, route, &target))
        return refuse_foreign(rules, s, why);
    enum err e = check_namespace(rules, s, &target, same_ns, why);
    if (e)
        return e;

    struct route *next = xcalloc(1, sizeof(*next));
    next->port = route->port;
    next->tls = route->tls;
    next->no_tls_port = route->no_tls_port;
    next->target_port = route->target_port;
    name_copy(&next->name, &target);
    free(x->route); /* `route` may be this one */
    x->route = next;
    return OK;
}

void external_finish(struct external *x)
{
    free(x->route);
    for (unsigned i = 0; i < x->hops; i++)
        free(x->seen[i]);
    *x = (struct external){ 0 };
}
