/* serve/routing.c - where a request goes */
#include "serve/routing.h"

#include "serve/accounting.h"
#include "serve/login.h"
#include "serve/policy.h"
#include "serve/proxy_users.h"

static enum err read_target(struct target *ret, const struct routing_context *c,
                            struct refusal *why)
{
    const struct rules rules = serve_rules(c->serve, c->from);

    if (c->from->exposed)
        return target_exposed(c->request, c->from->exposed, ret, why);
    return target_read(c->request, &rules, c->from->listener_port, ret, why);
}

/* It may be a full name that ends with the cluster's domain, which is not known yet. */
static bool may_end_with_zone(const struct routing *r, const struct routing_context *c)
{
    return c->wake && !c->from->exposed &&
           naming_may_be_found(c->serve->naming, r->target.host);
}

static enum routed route_to_close(struct refusal *why, enum cause cause)
{
    *why = (struct refusal){ .cause = cause };
    return ROUTED_TO_CLOSE;
}

static enum routed check_limits(const struct routing_context *c, struct refusal *why)
{
    struct pressure *pressure = &c->serve->pressure;

    if (c->from->surplus) {
        pressure_note(pressure, EVENT_CLIENT);
        return route_to_close(why, CAUSE_CLIENTS);
    }
    return pressure_refuses(pressure) ? route_to_close(why, CAUSE_MEMORY) : ROUTED_TO_POD;
}

static enum err check_proxy(const struct routing_context *c, const struct target *target,
                            struct refusal *why)
{
    if (!target->connect || policy_allows_proxy(c->serve->config, c->from->loopback))
        return OK;
    *why = (struct refusal){ .cause = CAUSE_PROXY_OFF };
    return ERR_FORBIDDEN;
}

/* Neither names nor pages are reported to a client without a password. */
static enum err check_proxy_user(const struct routing_context *c, struct refusal *why)
{
    const struct proxy_users *users = c->serve->proxy_users;

    if (!users || c->from->exposed || !target_is_proxied(c->request))
        return OK;
    const struct http1_field *field = http1_find(c->request, FIELD_PROXY_AUTHORIZATION);
    if (field && proxy_users_accept_basic(users, field->value))
        return OK;
    *why = (struct refusal){ .cause = CAUSE_PROXY_USER };
    return ERR_FORBIDDEN;
}

/* What follows a CONNECT is no request. */
static enum routed refuse_request(const struct http1_head *request)
{
    return str_eq(request->method, STR("CONNECT")) ? ROUTED_TO_CLOSE : ROUTED_NOWHERE;
}

enum routed routing_run(struct routing *r, const struct routing_context *c,
                        struct refusal *why)
{
    const struct rules rules = serve_rules(c->serve, c->from);
    struct target *target = &r->target;

    enum err e = read_target(target, c, why);
    if (check_proxy_user(c, why)) {
        accounting_received(c->id, c->request, target);
        return refuse_request(c->request);
    }
    if (e == ERR_PROTO && may_end_with_zone(r, c)) {
        naming_wait(c->serve->naming, &r->zone, c->wake);
        return ROUTED_AFTER_ZONE;
    }
    accounting_received(c->id, c->request, target);
    if (e || check_proxy(c, target, why) || policy_check(&rules, c->request, target, why))
        return refuse_request(c->request);
    if (target->route.name.kind == NAME_OWN)
        return ROUTED_TO_OWN_PAGE;
    if (target->route.name.kind == NAME_OUTSIDE)
        return check_limits(c, why);
    if (login_is_needed(c->serve, c->from, c->request, target, why))
        return refuse_request(c->request);
    return check_limits(c, why);
}

void routing_leave(struct routing *r)
{
    naming_leave(&r->zone);
}

bool routing_must_wait(const struct serve *s)
{
    return s->naming->looking;
}
