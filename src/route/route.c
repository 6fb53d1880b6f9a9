/* route/route.c - service ports and endpoints of a request
 *
 * Ports follow EndpointSlice semantics: a targetPort is resolved per pod, for headless
 * services too (kubectl ignores it there).  A headless service that declares no port is
 * treated like a pod: any port is accepted, and is the container's.
 */
#include "route/route.h"

#include <stdio.h>

#include "base/own.h"
#include "catalog/service.h"

#define PORT_DEFAULT 80
#define PORT_TLS 443
#define PORT_TLS_ELSEWHERE 8443
/* Leaves room in a struct diag for the rest of the sentence. */
#define DECLARED_ROOM 140

static bool takes_any_port(const struct service *s)
{
    return s->kind == SERVICE_POD || (s->headless && s->port_count == 0);
}

/* Is the requested port the container's port, without a service port? */
static bool takes_port(const struct route *r, const struct service *s)
{
    return takes_any_port(s) ||
           (s->kind == SERVICE_DEPLOYMENT && str_empty(r->name.port_name) &&
            (r->port || !s->port_count));
}

const char *route_plural(const struct service *s)
{
    return s->kind == SERVICE_DEPLOYMENT ? "deployments" : "services";
}

static bool means(const struct route *r, const struct service_port *p)
{
    if (!str_empty(r->name.port_name))
        return str_ieq(r->name.port_name, str_of(p->name));
    return p->number == r->port;
}

/* The first port that the request names; of a number declared for both TCP and UDP, the
 * TCP port. */
static const struct service_port *find_meant(const struct route *r,
                                             const struct service *s)
{
    const struct service_port *found = NULL;

    for (size_t i = 0; i < s->port_count; i++) {
        if (!means(r, &s->ports[i]))
            continue;
        if (s->ports[i].tcp)
            return &s->ports[i];
        if (!found)
            found = &s->ports[i];
    }
    return found;
}

/* The request has no port: 80, or else the first that can be forwarded. */
static const struct service_port *find_default(const struct service *s)
{
    const struct service_port *first = NULL;

    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        if (p->tcp && p->number == PORT_DEFAULT)
            return p;
        if (p->tcp && !first)
            first = p;
    }
    return first;
}

/* `protocol` is in lower case.  Every request comes here, and most names differ in their
 * first letter. */
static bool is_called(const char *name, struct str protocol)
{
    if ((name[0] | 0x20) != protocol.at[0])
        return false;
    struct str text = str_of(name);
    return str_ieq(str_first(text, protocol.len), protocol) &&
           (text.len == protocol.len || text.at[protocol.len] == '-');
}

static bool speaks_tls(const struct service_port *p)
{
    const char *protocol = p->app_protocol ? p->app_protocol : "";

    return is_called(p->name, STR("https")) || is_called(p->name, STR("tls")) ||
           is_called(protocol, STR("https")) || is_called(protocol, STR("tls"));
}

static bool is_one_of(const char *protocol, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_called(protocol, str_of(names[i])))
            return true;
    return false;
}

/* As a port name or an appProtocol. */
static bool means_tls(const char *protocol)
{
    static const char *const names[] = { "https", "tls", "kubernetes.io/wss" };

    return is_one_of(protocol, names, ARRAY_LEN(names));
}

static bool means_plain(const char *protocol)
{
    static const char *const names[] = {
        "http", "http2", "h2c", "grpc", "ws", "kubernetes.io/h2c", "kubernetes.io/ws"
    };

    return is_one_of(protocol, names, ARRAY_LEN(names));
}

static enum port_tls tls_by_number(uint16_t number)
{
    return number == PORT_TLS || number == PORT_TLS_ELSEWHERE ? PORT_TLS_BY_NUMBER
                                                              : PORT_PLAIN;
}

enum port_tls route_port_tls(const struct route *r, const struct service *s, size_t index)
{
    enum port_tls by_number = tls_by_number(route_port_number(r, s, index));

    if (r->target_port || index >= s->port_count || takes_port(r, s))
        return by_number;
    const struct service_port *p = &s->ports[index];
    if (p->app_protocol && means_tls(p->app_protocol))
        return PORT_TLS_DECLARED;
    if (p->app_protocol && means_plain(p->app_protocol))
        return PORT_PLAIN;
    if (means_tls(p->name))
        return PORT_TLS_DECLARED;
    return by_number && means_plain(p->name) ? PORT_PLAIN : by_number;
}

static const struct service_port *find_tls(const struct service *s)
{
    const struct service_port *first = NULL;

    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        if (p->tcp && p->number == PORT_TLS)
            return p;
        if (p->tcp && !first && speaks_tls(p))
            first = p;
    }
    return first;
}

/* "80 (http), 9090 (grpc), 53 (dns, not TCP)", cut with "..." where it gets long. */
static void list_ports(const struct service *s, char ret[static DECLARED_ROOM])
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        char one[96];
        int n = snprintf(one, sizeof(one), "%s%u%s%s%s%s", i ? ", " : "", p->number,
                         *p->name || !p->tcp ? " (" : "", p->name,
                         p->tcp     ? ""
                         : *p->name ? ", not TCP"
                                    : "not TCP",
                         *p->name || !p->tcp ? ")" : "");
        if (n < 0 || len + (size_t)n + sizeof(", ...") > DECLARED_ROOM) {
            memcpy(ret + len, ", ...", sizeof(", ..."));
            return;
        }
        memcpy(ret + len, one, (size_t)n + 1);
        len += (size_t)n;
    }
}

static enum err no_such_port(const struct route *r, const struct service *s,
                             struct diag *why)
{
    char declared[DECLARED_ROOM];

    list_ports(s, declared);
    if (s->port_count == 0)
        return diag_set(why, ERR_NO_PORT, "%s \"%s\" declares no ports", route_plural(s),
                        s->name);
    if (!str_empty(r->name.port_name))
        return diag_set(why, ERR_NO_PORT,
                        "%s \"%s\" has no port \"%.*s\": it declares %s", route_plural(s),
                        s->name, STR_ARG(r->name.port_name), declared);
    return diag_set(why, ERR_NO_PORT, "services \"%s\" has no port %u: it declares %s",
                    s->name, r->port, declared);
}

static enum err no_tls_port(const struct service *s, struct diag *why)
{
    char declared[DECLARED_ROOM];

    list_ports(s, declared);
    return diag_set(why, ERR_NO_PORT,
                    "%s \"%s\" has no TLS port, use http://: it declares %s",
                    route_plural(s), s->name, declared);
}

static enum err not_tcp(const struct service *s, struct diag *why)
{
    char declared[DECLARED_ROOM];

    list_ports(s, declared);
    return diag_set(why, ERR_UNSUPPORTED,
                    "a port-forward carries TCP only, and %s \"%s\" declares %s",
                    route_plural(s), s->name, declared);
}

/* Errors of the service itself, whatever the port is. */
static enum err check_service(const struct route *r, const struct service *s,
                              struct diag *why)
{
    if (s->kind == SERVICE_EXTERNAL)
        return diag_set(why, ERR_UNAVAILABLE,
                        "services \"%s\" is an ExternalName for %s: it has no endpoints",
                        s->name, s->external_name ? s->external_name : "nothing");
    if (s->kind == SERVICE_NORMAL && !s->has_selector && s->endpoint_count == 0)
        return diag_set(
            why, ERR_UNAVAILABLE,
            "services \"%s\" has no selector and no endpoint that is a pod: there "
            "is nothing to forward to%s%s",
            s->name, s->pods_note ? "; " : "", s->pods_note ? s->pods_note : "");
    if (r->name.udp)
        return diag_set(why, ERR_UNSUPPORTED,
                        "a port-forward carries TCP only: ask for _%.*s._tcp",
                        STR_ARG(r->name.port_name));
    return OK;
}

enum err route_port(const struct route *r, const struct service *s, size_t *ret_index,
                    struct diag *why)
{
    enum err e = check_service(r, s, why);
    if (e)
        return e;
    if (r->no_tls_port)
        return no_tls_port(s, why);
    bool named = r->port != 0 || !str_empty(r->name.port_name);
    const struct service_port *p = named    ? find_meant(r, s)
                                   : r->tls ? find_tls(s)
                                            : find_default(s);

    if (takes_port(r, s) && (!p || p->tcp)) {
        *ret_index = 0;
        return OK;
    }
    if (!p && r->tls && !named)
        return no_tls_port(s, why);
    if (!p && (named || s->port_count == 0))
        return no_such_port(r, s, why);
    if (!p || !p->tcp)
        return not_tcp(s, why);
    *ret_index = (size_t)(p - s->ports);
    return OK;
}

uint16_t route_port_number(const struct route *r, const struct service *s, size_t index)
{
    if (r->target_port)
        return r->target_port;
    if (index >= s->port_count || takes_port(r, s))
        return r->port ? r->port : PORT_DEFAULT;
    return s->ports[index].number;
}

uint16_t route_container_port(const struct route *r, const struct service *s,
                              const struct endpoint *e, size_t index)
{
    if (r->target_port)
        return r->target_port;
    if (takes_port(r, s))
        return r->port ? r->port : r->tls ? PORT_TLS : PORT_DEFAULT;
    return endpoint_port(s, e, index);
}

/* "10.1.2.3" is written 10-1-2-3 in a name; "fd00::" is fd00--0. */
static bool is_dashed(struct str label, const char *ip)
{
    char text[64];
    size_t len = strlen(ip);

    if (len == 0 || len + 1 >= sizeof(text))
        return false;
    for (size_t i = 0; i < len; i++)
        text[i] = ip[i] == '.' || ip[i] == ':' ? '-' : ip[i];
    if (text[len - 1] == '-')
        text[len++] = '0';
    return str_ieq(label, (struct str){ text, len });
}

bool route_matches(const struct route *r, const struct endpoint *e)
{
    struct str label = r->name.endpoint;

    if (r->name.kind != NAME_ENDPOINT)
        return true;
    return (e->hostname && str_ieq(label, str_of(e->hostname))) ||
           str_ieq(label, str_of(e->pod)) || (e->ip && is_dashed(label, e->ip));
}
