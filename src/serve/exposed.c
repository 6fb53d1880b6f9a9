/* serve/exposed.c - where all bytes of a connection lead */
#include "serve/exposed.h"

#include <stdio.h>

#include "base/own.h"

static enum err refuse_expose(const struct expose *x, const char *problem,
                              struct diag *why)
{
    return diag_set(why, ERR_CONFIG, "expose %s:%s: %s", x->name, x->port, problem);
}

/* A pod has no services' ports, and the name of a port may be in the name already. */
static enum err take_exposed_port(const struct expose *x, struct exposed *e,
                                  struct diag *why)
{
    struct route *route = &e->route;
    uint64_t number;

    if (!str_to_uint(str_of(x->port), UINT16_MAX, &number)) {
        route->port = (uint16_t)number;
        return OK;
    }
    if (route->name.kind == NAME_POD)
        return refuse_expose(x, "a port of a pod is a number", why);
    if (!str_empty(route->name.port_name))
        return refuse_expose(x, "the port has two names", why);
    snprintf(e->port_name, sizeof(e->port_name), "%s", x->port);
    route->name.port_name = str_of(e->port_name);
    return OK;
}

/* "db-0.db.shop" too, which is no name for HTTP: there it could be a domain elsewhere. */
static void read_name(struct str text, struct str zone, struct name *ret)
{
    struct str first, second;
    struct str third = str_cut(str_cut(text, '.', &first), '.', &second);

    name_parse(text, zone, ret);
    if (ret->kind != NAME_INVALID || str_empty(third) || third.len > NAME_MAX_LEN)
        return;
    AUTO_FREE char *full = xasprintf("%.*s.svc", STR_ARG(text));
    struct name name;
    name_parse(str_of(full), zone, &name);
    if (name.kind != NAME_INVALID)
        name_copy(ret, &name);
}

static enum err check_name(const struct expose *x, const struct name *name,
                           struct diag *why)
{
    if (name->kind == NAME_INVALID)
        return refuse_expose(x, name->problem, why);
    if (name->kind == NAME_OWN)
        return refuse_expose(x, "not a name of the cluster", why);
    return OK;
}

enum err exposed_create(const struct expose *x, struct str zone, struct exposed **ret,
                        struct diag *why)
{
    AUTO(exposed_unrefp) struct exposed *e = xcalloc(1, sizeof(*e));

    e->refs = 1;
    e->any_host = x->any_host;
    e->raw = x->raw;
    read_name(str_of(x->name), zone, &e->route.name);
    enum err result = check_name(x, &e->route.name, why);
    if (!result)
        result = take_exposed_port(x, e, why);
    if (result)
        return result;
    *ret = TAKE(e);
    return OK;
}

struct exposed *exposed_proxied(const struct route *route, struct str host, bool raw)
{
    struct exposed *e = xcalloc(1, sizeof(*e));

    e->refs = 1;
    e->raw = raw;
    e->route = *route;
    name_copy(&e->route.name, &route->name);
    e->proxied = str_dup(host);
    return e;
}

struct exposed *exposed_ref(struct exposed *x)
{
    if (x)
        x->refs++;
    return x;
}

unsigned exposed_refs(const struct exposed *x)
{
    return x->refs;
}

void exposed_unref(struct exposed *x)
{
    if (!x || --x->refs)
        return;
    free(x->proxied);
    free(x);
}
