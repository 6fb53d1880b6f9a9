/* catalog/objects.c - parse services, EndpointSlices and Endpoints
 *
 * Parsers collect fields that are borrowed from the JSON, and the result is copied into one
 * block of memory, since a large cluster has tens of thousands of objects.
 */
#include "catalog/objects.h"

#include "base/own.h"
#include "catalog/pack.h"
#include "catalog/reader.h"

#define UID_MAX 64 /* real ones have 36 characters */
#define SELECTOR_MAX 8192
#define SERVICE_LABEL "kubernetes.io/service-name"

/* --- services --- */

static size_t spec_texts(const struct service_spec *s)
{
    size_t room = pack_room(s->ns) + pack_room(s->name) + pack_room(s->external_name) +
                  pack_room(s->selector);

    for (size_t i = 0; i < s->port_count; i++)
        room += pack_room(s->ports[i].name) + pack_room(s->ports[i].app_protocol) +
                pack_room(s->ports[i].target_name);
    return room;
}

struct service_spec *spec_pack(const struct service_spec *from)
{
    size_t ports = from->port_count * sizeof(*from->ports);
    struct service_spec *s = xmalloc(sizeof(*s) + ports + spec_texts(from));
    struct service_port *port = (struct service_port *)(s + 1);
    char *at = (char *)(port + from->port_count);

    *s = *from;
    s->refs = 1;
    s->ns = pack_text(&at, from->ns);
    s->name = pack_text(&at, from->name);
    s->external_name = pack_text(&at, from->external_name);
    s->selector = pack_text(&at, from->selector);
    s->ports = port;
    for (size_t i = 0; i < from->port_count; i++) {
        port[i] = from->ports[i];
        port[i].name = pack_text(&at, from->ports[i].name);
        port[i].app_protocol = pack_text(&at, from->ports[i].app_protocol);
        port[i].target_name = pack_text(&at, from->ports[i].target_name);
    }
    return s;
}

struct service_spec *spec_ref(const struct service_spec *s)
{
    struct service_spec *shared = (struct service_spec *)(uintptr_t)s;

    shared->refs++;
    return shared;
}

void spec_unref(struct service_spec *s)
{
    if (s && --s->refs == 0)
        free(s);
}

/* {"app": "web", "tier": "front"} -> "app=web,tier=front" */
static char *selector_text(struct reader *r, const json_t *selector)
{
    AUTO_FREE char *text = NULL;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)selector, key, value)
    {
        if (!json_is_string(value) || (text && strlen(text) > SELECTOR_MAX)) {
            r->wrong = r->wrong ? r->wrong : "selector";
            return NULL;
        }
        char *longer = xasprintf("%s%s%s=%s", text ? text : "", text ? "," : "", key,
                                 json_string_value(value));
        free(text);
        text = longer;
    }
    return TAKE(text);
}

static void read_service_port(struct reader *r, const json_t *o, struct service_port *p)
{
    p->name = text_or_empty(r, o, "name");
    p->number = port_at(r, o, "port");
    p->tcp = is_tcp(r, o);
    p->app_protocol = text_at(r, o, "appProtocol");
    if (json_is_string(field(o, "targetPort")))
        p->target_name = text_at(r, o, "targetPort");
    else
        p->target = port_at(r, o, "targetPort");
    if (!p->target_name && p->target == 0)
        p->target = p->number;
}

/* Owned by the caller, as long as the JSON is there. */
static struct service_port *read_service_ports(struct reader *r, const json_t *array,
                                               struct service_spec *s)
{
    struct service_port *ports;

    s->port_count = count_of(array, PORTS_MAX, &s->left_out);
    ports = xcalloc(s->port_count + 1, sizeof(*ports));
    for (size_t i = 0; i < s->port_count; i++)
        read_service_port(r, json_array_get(array, i), &ports[i]);
    return ports;
}

enum err spec_parse(const json_t *object, struct service_spec **ret, struct diag *why)
{
    struct reader r = { NULL };
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *spec = object_at(&r, object, "spec");
    bool external = text_is(&r, spec, "type", "ExternalName");
    AUTO_FREE char *selector = selector_text(&r, object_at(&r, spec, "selector"));
    struct service_spec s = {
        .ns = text_or_empty(&r, metadata, "namespace"),
        .name = text_or_empty(&r, metadata, "name"),
        .version = version_of(&r, metadata),
        .kind = external ? SERVICE_EXTERNAL : SERVICE_NORMAL,
        .external_name = text_at(&r, spec, "externalName"),
        .selector = selector,
        .headless = text_is(&r, spec, "clusterIP", "None"),
        .sticky = text_is(&r, spec, "sessionAffinity", "ClientIP"),
        .not_ready_too = flag_at(&r, spec, "publishNotReadyAddresses", false),
    };
    AUTO_FREE struct service_port *ports =
        read_service_ports(&r, array_at(&r, spec, "ports"), &s);

    s.ports = ports;
    enum err e = verdict(&r, "services", s.name, why);
    if (!e)
        *ret = spec_pack(&s);
    return e;
}

bool is_plain_name(struct str s)
{
    if (str_empty(s) || s.len > 253 || s.at[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
              c == ':'))
            return false;
    }
    return true;
}

/* --- endpoint slices --- */

#define SHARED_AMONG 4 /* endpoints next to each other are often on the same node */

/* The text of an endpoint before, if it is equal. */
static const char *shared_node(const struct slice_endpoint *before, size_t count,
                               const char *node)
{
    for (size_t i = 0; node && i < count && i < SHARED_AMONG; i++) {
        const char *other = before[-1 - (ptrdiff_t)i].node;
        if (other && strcmp(other, node) == 0)
            return other;
    }
    return NULL;
}

static size_t slice_texts(const struct slice *s)
{
    size_t room = 2 * pack_room(s->ns) + pack_room(s->name) + pack_room(s->service);

    for (size_t i = 0; i < s->port_count; i++)
        room += pack_room(s->ports[i].name);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct slice_endpoint *e = &s->endpoints[i];
        room += pack_room(e->pod) + pack_room(e->uid) + pack_room(e->ip) +
                pack_room(e->hostname);
        room += shared_node(e, i, e->node) ? 0 : pack_room(e->node);
    }
    return room;
}

static void pack_endpoint(const struct slice_endpoint *from, size_t before, char **at,
                          struct slice_endpoint *e)
{
    const char *node = shared_node(e, before, from->node);

    *e = *from;
    e->pod = pack_text(at, from->pod);
    e->uid = pack_text(at, from->uid);
    e->ip = pack_text(at, from->ip);
    e->hostname = pack_text(at, from->hostname);
    e->node = node ? node : pack_text(at, from->node);
}

struct slice *slice_pack(const struct slice *from)
{
    size_t endpoints = from->endpoint_count * sizeof(*from->endpoints);
    size_t ports = from->port_count * sizeof(*from->ports);
    struct slice *s = xmalloc(sizeof(*s) + endpoints + ports + slice_texts(from));
    struct slice_endpoint *endpoint = (struct slice_endpoint *)(s + 1);
    struct slice_port *port = (struct slice_port *)(endpoint + from->endpoint_count);
    char *at = (char *)(port + from->port_count);

    *s = *from;
    s->ns = pack_text(&at, from->ns);
    s->key = at;
    pack_text(&at, from->ns);
    at[-1] = '/';
    s->name = pack_text(&at, from->name);
    s->service = pack_text(&at, from->service);
    s->ports = port;
    s->endpoints = endpoint;
    for (size_t i = 0; i < from->port_count; i++) {
        port[i] = from->ports[i];
        port[i].name = pack_text(&at, from->ports[i].name);
    }
    for (size_t i = 0; i < from->endpoint_count; i++)
        pack_endpoint(&from->endpoints[i], i, &at, &endpoint[i]);
    return s;
}

/* The API server refuses a slice with more ports than are read here.  Owned by the caller,
 * as long as the JSON is there. */
static struct slice_port *read_slice_ports(struct reader *r, const json_t *array,
                                           struct slice *s)
{
    struct slice_port *ports;
    size_t beyond;

    s->port_count = count_of(array, PORTS_MAX, &beyond);
    ports = xcalloc(s->port_count + 1, sizeof(*ports));
    for (size_t i = 0; i < s->port_count; i++) {
        const json_t *o = json_array_get(array, i);
        ports[i] = (struct slice_port){
            .name = text_or_empty(r, o, "name"),
            .number = port_at(r, o, "port"),
            .tcp = is_tcp(r, o),
        };
    }
    return ports;
}

/* Is targetRef a pod of the slice's own namespace with a valid name?  The API server does not
 * check that, and the name becomes part of requests with our rights: a user that may write
 * slices in one namespace must not reach pods of another. */
static bool is_target(struct reader *r, const json_t *target, const char *ns)
{
    const char *name = text_at(r, target, "name");

    return text_is(r, target, "kind", "Pod") && name && is_plain_name(str_of(name)) &&
           is_plain_name(str_of(ns)) &&
           (!field(target, "namespace") || text_is(r, target, "namespace", ns));
}

static void read_target(struct reader *r, const json_t *target, const char *ns,
                        struct slice_endpoint *e)
{
    if (!target || !is_target(r, target, ns))
        return;
    e->pod = text_at(r, target, "name");
    const char *uid = text_at(r, target, "uid");
    bool known = uid && is_plain_name(str_of(uid)) && strlen(uid) <= UID_MAX;
    e->uid = known ? uid : "";
}

/* Uses the first address; a missing condition has its default. */
static void read_endpoint(struct reader *r, const json_t *o, const char *ns,
                          struct slice_endpoint *e)
{
    const json_t *conditions = object_at(r, o, "conditions");
    const json_t *addresses = array_at(r, o, "addresses");
    const char *ip = json_string_value(json_array_get(addresses, 0));

    e->ready = flag_at(r, conditions, "ready", true);
    e->serving = flag_at(r, conditions, "serving", e->ready);
    e->terminating = flag_at(r, conditions, "terminating", false);
    e->ip = ip && strlen(ip) <= TEXT_MAX ? ip : NULL;
    e->node = text_at(r, o, "nodeName");
    e->hostname = text_at(r, o, "hostname");
    e->address_only = e->ip && !field(o, "targetRef");
    read_target(r, object_at(r, o, "targetRef"), ns, e);
}

/* As read_slice_ports. */
static struct slice_endpoint *read_endpoints(struct reader *r, const json_t *array,
                                             struct slice *s)
{
    struct slice_endpoint *endpoints;

    s->endpoint_count = count_of(array, SLICE_ENDPOINTS_MAX, &s->left_out);
    endpoints = xcalloc(s->endpoint_count + 1, sizeof(*endpoints));
    for (size_t i = 0; i < s->endpoint_count; i++)
        read_endpoint(r, json_array_get(array, i), s->ns, &endpoints[i]);
    return endpoints;
}

enum err slice_parse(const json_t *object, struct slice **ret, struct diag *why)
{
    struct reader r = { NULL };
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *labels = object_at(&r, metadata, "labels");
    struct slice s = {
        .ns = text_or_empty(&r, metadata, "namespace"),
        .name = text_or_empty(&r, metadata, "name"),
        .version = version_of(&r, metadata),
        .service = text_at(&r, labels, SERVICE_LABEL),
    };
    AUTO_FREE struct slice_port *ports =
        read_slice_ports(&r, array_at(&r, object, "ports"), &s);
    AUTO_FREE struct slice_endpoint *endpoints =
        read_endpoints(&r, array_at(&r, object, "endpoints"), &s);

    s.ports = ports;
    s.endpoints = endpoints;
    enum err e = verdict(&r, "endpointslices", s.name, why);
    if (!e)
        *ret = slice_pack(&s);
    return e;
}

/* --- endpoints --- */

/* Endpoints do not show whether a pod is terminating. */
static void read_address(struct reader *r, const json_t *o, const char *ns, bool ready,
                         struct slice_endpoint *e)
{
    e->ready = e->serving = ready;
    e->ip = text_at(r, o, "ip");
    e->node = text_at(r, o, "nodeName");
    e->hostname = text_at(r, o, "hostname");
    e->address_only = e->ip && !field(o, "targetRef");
    read_target(r, object_at(r, o, "targetRef"), ns, e);
}

/* Appends to *endpoints, which is s->endpoints. */
static void read_addresses(struct reader *r, const json_t *array, bool ready,
                           struct slice *s, struct slice_endpoint **endpoints)
{
    size_t left_out, n = count_of(array, SLICE_ENDPOINTS_MAX, &left_out);

    *endpoints = xrealloc(*endpoints, (s->endpoint_count + n + 1) * sizeof(**endpoints));
    memset(*endpoints + s->endpoint_count, 0, n * sizeof(**endpoints));
    for (size_t i = 0; i < n; i++)
        read_address(r, json_array_get(array, i), s->ns, ready,
                     *endpoints + s->endpoint_count++);
    s->left_out += left_out;
    s->endpoints = *endpoints;
}

static struct slice *read_subset(struct reader *r, const json_t *o, struct slice s)
{
    const json_t *ready = array_at(r, o, "addresses");
    const json_t *not_ready = array_at(r, o, "notReadyAddresses");
    AUTO_FREE struct slice_port *ports = read_slice_ports(r, array_at(r, o, "ports"), &s);
    AUTO_FREE struct slice_endpoint *endpoints = NULL;

    s.ports = ports;
    read_addresses(r, ready, true, &s, &endpoints);
    read_addresses(r, not_ready, false, &s, &endpoints);
    return slice_pack(&s);
}

enum err endpoints_parse(const json_t *object, struct slice_list *ret, char **ret_ns,
                         char **ret_name, struct diag *why)
{
    struct reader r = { NULL };
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *subsets = array_at(&r, object, "subsets");
    const char *name = text_or_empty(&r, metadata, "name");
    const char *ns = text_or_empty(&r, metadata, "namespace");
    struct slice_list slices = { 0 };
    size_t beyond, n = count_of(subsets, SUBSETS_MAX, &beyond);

    for (size_t i = 0; i < n; i++) {
        AUTO_FREE char *own = xasprintf("%s/%zu", name, i); /* no slice has such a name */
        struct slice loose = {
            .ns = ns, .name = own, .service = name, .version = version_of(&r, metadata)
        };
        slice_list_add(&slices, read_subset(&r, json_array_get(subsets, i), loose));
    }
    enum err e = verdict(&r, "endpoints", name, why);
    if (e) {
        slice_list_finish(&slices);
        return e;
    }
    *ret = slices;
    *ret_ns = xstrdup(ns);
    *ret_name = xstrdup(name);
    return OK;
}
