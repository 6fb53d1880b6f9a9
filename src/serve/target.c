/* serve/target.c - target and Host of a request into a route (RFC 9112, 3.2) */
#include "serve/target.h"

#include "base/address.h"

#define HTTP_PORT 80

static enum err refuse_form(struct refusal *why, enum cause cause)
{
    *why = (struct refusal){ .cause = cause };
    return ERR_PROTO;
}

/* The request's own goes before the alias'. */
static void take_port(uint16_t port, uint16_t alias_port, struct route *ret)
{
    if (port && ret->name.suffix == NAME_SUFFIX_ALIAS)
        ret->name.port_name = STR("");
    ret->port = port ? port : alias_port;
}

static enum err read_authority(struct str authority, const struct rules *rules,
                               uint16_t no_port, struct target *ret, struct refusal *why)
{
    struct str host;
    uint16_t port, alias_port;
    const char *problem = "the port is not a number from 1 to 65535, or has no host";

    if (!authority_split(authority, &host, &port)) {
        ret->host = host;
        naming_read(rules->naming, host, &ret->route.name, &alias_port);
        take_port(port == no_port ? 0 : port, alias_port, &ret->route);
        ret->route.target_port = (uint16_t)rules->config->target_port;
        if (ret->route.name.kind != NAME_INVALID && !str_empty(host))
            return OK;
        problem = str_empty(host) ? "it is empty" : ret->route.name.problem;
    }
    *why = (struct refusal){
        .cause = CAUSE_HOST_INVALID,
        .subject = authority,
        .problem = problem,
        .zone = naming_zone(rules->naming),
    };
    return ERR_PROTO;
}

static size_t find_any(struct str s, const char *set)
{
    size_t at = 0;
    while (at < s.len && !strchr(set, s.at[at]))
        at++;
    return at;
}

/* A fragment is for the client, and no part of a request (RFC 9110, section 7.1): servers
 * differ on what it is in a path. */
static struct str without_fragment(struct str target)
{
    struct str before;

    str_cut(target, '#', &before);
    return before;
}

static bool is_port_outside(const struct config *c, uint16_t port)
{
    for (size_t i = 0; i < c->proxy_outside_ports.count; i++)
        if (c->proxy_outside_ports.at[i] == port)
            return true;
    return false;
}

/* The host of a proxy request is outside the cluster, and its client may leave it. */
static enum err take_outside(const struct rules *rules, uint16_t port, struct target *ret,
                             struct refusal *why)
{
    ret->route.port = port;
    if (rules->any_port_outside || is_port_outside(rules->config, port))
        return OK;
    *why = (struct refusal){ .cause = CAUSE_OUTSIDE_PORT,
                             .subject = ret->host,
                             .port = port };
    return ERR_FORBIDDEN;
}

static bool reads_outside(const struct rules *rules, struct str host, struct name *ret)
{
    return rules->outside && naming_read_outside(rules->naming, host,
                                                 config_short_names(rules->config), ret);
}

static enum err read_absolute_host(struct str authority, const struct rules *rules,
                                   struct target *ret, struct refusal *why)
{
    uint16_t port = 0;

    if (rules->outside && !authority_split(authority, &ret->host, &port) &&
        reads_outside(rules, ret->host, &ret->route.name))
        return take_outside(rules, port ? port : HTTP_PORT, ret, why);
    return read_authority(authority, rules, 0, ret, why);
}

/* "http://host:port/path?query" */
static enum err read_absolute(const struct http1_head *head, const struct rules *rules,
                              struct target *ret, struct refusal *why)
{
    struct str scheme = STR("http://");
    struct str target = head->target;

    if (target.len < scheme.len || !str_ieq(str_first(target, scheme.len), scheme))
        return refuse_form(why, CAUSE_TARGET_FORM);
    struct str rest = str_skip(target, scheme.len);
    size_t stop = find_any(rest, "/?#");
    struct str authority = str_first(rest, stop);

    ret->path = without_fragment(str_skip(rest, stop));
    ret->add_slash = str_empty(ret->path) || ret->path.at[0] != '/';
    if (str_empty(ret->path) && str_eq(head->method, STR("OPTIONS"))) {
        ret->path = STR("*");
        ret->add_slash = false;
    }
    if (!head->host || !str_eq(head->host->value, authority))
        ret->authority = authority;
    return read_absolute_host(authority, rules, ret, why);
}

/* A proxy request for a name that is none of the cluster. */
static enum err refuse_outside(const struct target *t, enum err e, struct refusal *why)
{
    if (why->cause == CAUSE_HOST_INVALID && !str_empty(t->host))
        *why = (struct refusal){ .cause = CAUSE_HOST_OUTSIDE,
                                 .subject = t->host,
                                 .problem = t->route.name.problem };
    return e;
}

static bool is_origin_form(const struct http1_head *head)
{
    return head->target.at[0] == '/' ||
           (str_eq(head->target, STR("*")) && str_eq(head->method, STR("OPTIONS")));
}

bool target_is_proxied(const struct http1_head *head)
{
    return !is_origin_form(head);
}

/* A page of ours in place of another server's would be taken for it. */
static enum err check_own(uint16_t listener_port, const struct target *t,
                          struct refusal *why)
{
    bool own_port = t->route.port == listener_port;
    bool own_host = !t->route.port && host_is_loopback(str_of(t->route.name.text));

    if (t->route.name.kind != NAME_OWN || own_port || own_host)
        return OK;
    return refuse_form(why, CAUSE_HOST_OUTSIDE);
}

/* "Host: web.shop" without a proxy: it was resolved outside the cluster, where the name may
 * be a domain of another owner. */
static enum err check_short(const struct http1_head *head, const struct rules *rules,
                            uint16_t listener_port, const struct target *t,
                            struct refusal *why)
{
    const struct name *name = &t->route.name;
    bool is_short = name->kind != NAME_OWN && name->suffix == NAME_SUFFIX_NONE;

    if (!is_short || config_short_names(rules->config))
        return OK;
    *why = (struct refusal){
        .cause = CAUSE_SHORT_NAME,
        .subject = head->target,
        .name = name,
        .zone = naming_zone(rules->naming),
        .port = listener_port,
    };
    return ERR_FORBIDDEN;
}

static enum err read_host(const struct http1_head *head, const struct rules *rules,
                          uint16_t listener_port, struct target *ret, struct refusal *why)
{
    enum err e = read_authority(head->host->value, rules, listener_port, ret, why);
    return e ? e : check_short(head, rules, listener_port, ret, why);
}

enum err target_proxied(struct str host, uint16_t port, const struct rules *rules,
                        struct target *ret, struct refusal *why)
{
    struct route *route = &ret->route;
    uint16_t any;

    *ret = (struct target){ .path = STR(""), .host = host, .connect = true };
    if (name_of_address(host, &route->name)) {
        route->outside = rules->outside && is_port_outside(rules->config, port);
        any = 0;
    } else if (reads_outside(rules, host, &route->name)) {
        return take_outside(rules, port, ret, why);
    } else {
        naming_read(rules->naming, host, &route->name, &any);
    }
    take_port(port, any, route);
    if (route->name.kind != NAME_INVALID && route->name.kind != NAME_OWN)
        return OK;
    *why = (struct refusal){ .cause = CAUSE_HOST_OUTSIDE,
                             .subject = host,
                             .problem = route->name.problem };
    return ERR_PROTO;
}

enum err target_tls(struct str host, const struct rules *rules, uint16_t listener_port,
                    struct target *ret, struct refusal *why)
{
    struct name *name = &ret->route.name;

    *ret = (struct target){ .path = STR(""), .host = host };
    ret->route.tls = true;
    naming_read(rules->naming, host, name, NULL);
    if (name->kind == NAME_INVALID || name->kind == NAME_OWN) {
        *why = (struct refusal){ .cause = CAUSE_HOST_OUTSIDE,
                                 .subject = host,
                                 .problem = name->problem };
        return ERR_PROTO;
    }
    if (name->suffix != NAME_SUFFIX_NONE || config_short_names(rules->config))
        return OK;
    *why = (struct refusal){ .cause = CAUSE_SHORT_NAME,
                             .subject = STR("/"),
                             .name = name,
                             .zone = naming_zone(rules->naming),
                             .port = listener_port };
    return ERR_FORBIDDEN;
}

/* "web.shop:80" (RFC 9110, section 9.3.6) */
static enum err read_connect(const struct http1_head *head, const struct rules *rules,
                             struct target *ret, struct refusal *why)
{
    struct str host;
    uint16_t port = 0;

    if (authority_split(head->target, &host, &port) || str_empty(host) || !port) {
        *why = (struct refusal){
            .cause = CAUSE_CONNECT_FORM,
            .zone = naming_zone(rules->naming),
        };
        return ERR_PROTO;
    }
    enum err e = target_proxied(host, port, rules, ret, why);
    ret->authority = head->target;
    return e;
}

enum err target_read(const struct http1_head *head, const struct rules *rules,
                     uint16_t listener_port, struct target *ret, struct refusal *why)
{
    *ret = (struct target){ .path = STR("") }; /* other forms may hold a password */
    if (str_eq(head->method, STR("CONNECT")))
        return read_connect(head, rules, ret, why);
    if (!is_origin_form(head)) {
        enum err e = read_absolute(head, rules, ret, why);
        return e ? refuse_outside(ret, e, why) : check_own(listener_port, ret, why);
    }
    ret->path = without_fragment(head->target);
    if (head->host)
        return read_host(head, rules, listener_port, ret, why);

    /* HTTP/1.0 may leave it out: then the request is for kube-tunnel itself. */
    ret->route.name.kind = NAME_OWN;
    return OK;
}

enum err target_exposed(const struct http1_head *head, const struct exposed *exposed,
                        struct target *ret, struct refusal *why)
{
    uint16_t port;

    *ret = (struct target){ .path = head->target, .exposed = exposed };
    ret->route.port = exposed->route.port;
    name_copy(&ret->route.name, &exposed->route.name);
    if (!head->host || authority_split(head->host->value, &ret->host, &port))
        ret->host = STR("");
    if (!head->host) /* HTTP/1.0 may leave it out, and the pod gets HTTP/1.1 */
        ret->authority = str_of(ret->route.name.text);
    if (!str_eq(head->method, STR("CONNECT")))
        return OK;
    return refuse_form(why, CAUSE_CONNECT_EXPOSED);
}
