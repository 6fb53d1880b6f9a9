#include "serve/destination.h"

#include "serve/policy.h"

static bool waits_for_zone(const struct destination *d, struct naming *naming)
{
    if (!naming->looking || !naming_may_be_found(naming, d->host))
        return false;
    naming_leave(d->zone);
    naming_wait(naming, d->zone, d->wake);
    return true;
}

static enum err refuse_for(enum cause cause, struct refusal *why)
{
    *why = (struct refusal){ .cause = cause };
    return ERR_FORBIDDEN;
}

static enum err read_target(const struct destination *d, const struct rules *rules,
                            const struct visitor *from, struct target *ret,
                            struct refusal *why)
{
    if (d->port)
        return target_proxied(d->host, d->port, rules, ret, why);
    return target_tls(d->host, rules, from->listener_port, ret, why);
}

enum err destination_check(const struct destination *d, struct serve *serve,
                           const struct visitor *from, struct target *ret,
                           struct refusal *why)
{
    struct rules rules = serve_rules(serve, from);

    if (d->proxied && !policy_allows_proxy(serve->config, from->loopback))
        return refuse_for(CAUSE_PROXY_OFF, why);
    enum err e = read_target(d, &rules, from, ret, why);
    if (e == ERR_PROTO && waits_for_zone(d, serve->naming))
        return ERR_AGAIN;
    if (!e)
        e = policy_check_namespace(serve->config, &ret->route.name, why);
    if (!e && from->surplus)
        e = refuse_for(CAUSE_CLIENTS, why);
    if (!e && pressure_refuses(&serve->pressure))
        e = refuse_for(CAUSE_MEMORY, why);
    return e;
}
