#include "catalog/objects.h"

#include "base/own.h"

#define TEXT_MAX 1024
#define UID_MAX 64 /* real ones have 36 characters */
#define SELECTOR_MAX 8192
#define SERVICE_LABEL "kubernetes.io/service-name"

/* Reads fields and remembers the first whose type was wrong, so that a parser is a list
 * of fields and one question at its end. */
struct reader {
    const char *wrong;
};

static const json_t *field(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

static const json_t *checked(struct reader *r, const json_t *v, json_type type,
                             const char *key)
{
    if (v && json_typeof(v) != type) {
        if (!r->wrong)
            r->wrong = key;
        return NULL;
    }
    return v;
}

static const json_t *object_at(struct reader *r, const json_t *o, const char *key)
{
    return checked(r, field(o, key), JSON_OBJECT, key);
}

static const json_t *array_at(struct reader *r, const json_t *o, const char *key)
{
    return checked(r, field(o, key), JSON_ARRAY, key);
}

/* Borrowed from the object; NULL when missing. */
static const char *text_at(struct reader *r, const json_t *o, const char *key)
{
    const json_t *v = checked(r, field(o, key), JSON_STRING, key);

    if (v && json_string_length(v) > TEXT_MAX) {
        r->wrong = r->wrong ? r->wrong : key;
        return NULL;
    }
    return json_string_value(v);
}

static char *dup_at(struct reader *r, const json_t *o, const char *key)
{
    return xstrdup_or_null(text_at(r, o, key));
}

static char *dup_or_empty(struct reader *r, const json_t *o, const char *key)
{
    const char *text = text_at(r, o, key);
    return xstrdup(text ? text : "");
}

static bool flag_at(struct reader *r, const json_t *o, const char *key, bool missing)
{
    const json_t *v = field(o, key);

    if (v && !json_is_boolean(v) && !r->wrong)
        r->wrong = key;
    return v ? json_is_true(v) : missing;
}

static bool text_is(struct reader *r, const json_t *o, const char *key, const char *value)
{
    const char *text = text_at(r, o, key);
    return text && strcmp(text, value) == 0;
}

/* 0 when missing. */
static uint16_t port_at(struct reader *r, const json_t *o, const char *key)
{
    const json_t *v = checked(r, field(o, key), JSON_INTEGER, key);
    json_int_t n = json_integer_value(v);

    if (n < 0 || n > UINT16_MAX) {
        r->wrong = r->wrong ? r->wrong : key;
        return 0;
    }
    return (uint16_t)n;
}

static bool is_tcp(struct reader *r, const json_t *port)
{
    return !field(port, "protocol") || text_is(r, port, "protocol", "TCP");
}

static size_t count_of(const json_t *array, size_t max, size_t *ret_left_out)
{
    size_t n = json_array_size(array);
    *ret_left_out = n > max ? n - max : 0;
    return n - *ret_left_out;
}

static uint64_t version_of(struct reader *r, const json_t *metadata)
{
    const char *version = text_at(r, metadata, "resourceVersion");
    return version ? str_hash(str_of(version)) : 0;
}

static enum err verdict(const struct reader *r, const char *what, const char *name,
                        struct diag *why)
{
    if (r->wrong)
        return diag_set(why, ERR_PROTO, "%s \"%s\": field %s is not what it should be",
                        what, name ? name : "", r->wrong);
    if (!name || !*name)
        return diag_set(why, ERR_PROTO, "%s without a name", what);
    return OK;
}

/* --- services --- */

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
    p->name = dup_or_empty(r, o, "name");
    p->number = port_at(r, o, "port");
    p->tcp = is_tcp(r, o);
    p->app_protocol = dup_at(r, o, "appProtocol");
    if (json_is_string(field(o, "targetPort")))
        p->target_name = dup_at(r, o, "targetPort");
    else
        p->target = port_at(r, o, "targetPort");
    if (!p->target_name && p->target == 0)
        p->target = p->number;
}

static void read_service_ports(struct reader *r, const json_t *array,
                               struct service_spec *s)
{
    size_t n = count_of(array, PORTS_MAX, &s->left_out);

    s->ports = xcalloc(n ? n : 1, sizeof(*s->ports));
    for (; s->port_count < n; s->port_count++)
        read_service_port(r, json_array_get(array, s->port_count),
                          &s->ports[s->port_count]);
}

static void spec_destroyp(struct service_spec **s)
{
    spec_destroy(*s);
}

enum err spec_parse(const json_t *object, struct service_spec **ret, struct diag *why)
{
    struct reader r = { NULL };
    AUTO(spec_destroyp) struct service_spec *s = xcalloc(1, sizeof(*s));
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *spec = object_at(&r, object, "spec");

    s->ns = dup_or_empty(&r, metadata, "namespace");
    s->name = dup_or_empty(&r, metadata, "name");
    s->version = version_of(&r, metadata);
    s->kind =
        text_is(&r, spec, "type", "ExternalName") ? SERVICE_EXTERNAL : SERVICE_NORMAL;
    s->external_name = dup_at(&r, spec, "externalName");
    s->selector = selector_text(&r, object_at(&r, spec, "selector"));
    s->headless = text_is(&r, spec, "clusterIP", "None");
    s->sticky = text_is(&r, spec, "sessionAffinity", "ClientIP");
    s->not_ready_too = flag_at(&r, spec, "publishNotReadyAddresses", false);
    read_service_ports(&r, array_at(&r, spec, "ports"), s);

    enum err e = verdict(&r, "services", s->name, why);
    if (!e)
        *ret = TAKE(s);
    return e;
}

void spec_destroy(struct service_spec *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->port_count; i++) {
        free(s->ports[i].name);
        free(s->ports[i].app_protocol);
        free(s->ports[i].target_name);
    }
    free(s->ports);
    free(s->ns);
    free(s->name);
    free(s->external_name);
    free(s->selector);
    free(s);
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

static char *pod_key(const char *ns, const char *name, const char *uid)
{
    return xasprintf("%s/%s/%s", ns, name, uid);
}

/* --- endpoint slices --- */

/* The API server refuses a slice with more ports than are read here. */
static void read_slice_ports(struct reader *r, const json_t *array, struct slice *s)
{
    size_t beyond, n = count_of(array, PORTS_MAX, &beyond);

    s->ports = xcalloc(n ? n : 1, sizeof(*s->ports));
    for (; s->port_count < n; s->port_count++) {
        const json_t *o = json_array_get(array, s->port_count);
        s->ports[s->port_count] = (struct slice_port){
            .name = dup_or_empty(r, o, "name"),
            .number = port_at(r, o, "port"),
            .tcp = is_tcp(r, o),
        };
    }
}

/* The API server checks nothing here, and what it says becomes part of requests with our
 * rights: whoever may write slices of a namespace reaches pods of that one, by names that are
 * some. */
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
    e->ns = xstrdup(ns);
    e->pod = dup_at(r, target, "name");
    const char *uid = text_at(r, target, "uid");
    bool known = uid && is_plain_name(str_of(uid)) && strlen(uid) <= UID_MAX;
    e->uid = xstrdup(known ? uid : "");
    e->key = pod_key(ns, e->pod, e->uid);
}

/* Of the addresses the first counts; a condition that is not said has its default. */
static void read_endpoint(struct reader *r, const json_t *o, const char *ns,
                          struct slice_endpoint *e)
{
    const json_t *conditions = object_at(r, o, "conditions");
    const json_t *addresses = array_at(r, o, "addresses");
    const char *ip = json_string_value(json_array_get(addresses, 0));

    e->ready = flag_at(r, conditions, "ready", true);
    e->serving = flag_at(r, conditions, "serving", e->ready);
    e->terminating = flag_at(r, conditions, "terminating", false);
    e->ip = ip && strlen(ip) <= TEXT_MAX ? xstrdup(ip) : NULL;
    e->node = dup_at(r, o, "nodeName");
    e->hostname = dup_at(r, o, "hostname");
    e->address_only = e->ip && !field(o, "targetRef");
    read_target(r, object_at(r, o, "targetRef"), ns, e);
}

static void read_endpoints(struct reader *r, const json_t *array, struct slice *s)
{
    size_t n = count_of(array, SLICE_ENDPOINTS_MAX, &s->left_out);

    s->endpoints = xcalloc(n ? n : 1, sizeof(*s->endpoints));
    for (; s->endpoint_count < n; s->endpoint_count++)
        read_endpoint(r, json_array_get(array, s->endpoint_count), s->ns,
                      &s->endpoints[s->endpoint_count]);
}

static void slice_destroyp(struct slice **s)
{
    slice_destroy(*s);
}

enum err slice_parse(const json_t *object, struct slice **ret, struct diag *why)
{
    struct reader r = { NULL };
    AUTO(slice_destroyp) struct slice *s = xcalloc(1, sizeof(*s));
    const json_t *metadata = object_at(&r, object, "metadata");

    s->ns = dup_or_empty(&r, metadata, "namespace");
    s->name = dup_or_empty(&r, metadata, "name");
    s->version = version_of(&r, metadata);
    s->service = dup_at(&r, object_at(&r, metadata, "labels"), SERVICE_LABEL);
    read_slice_ports(&r, array_at(&r, object, "ports"), s);
    read_endpoints(&r, array_at(&r, object, "endpoints"), s);

    enum err e = verdict(&r, "endpointslices", s->name, why);
    if (!e)
        *ret = TAKE(s);
    return e;
}

static void endpoint_finish(struct slice_endpoint *e)
{
    free(e->ns);
    free(e->pod);
    free(e->uid);
    free(e->key);
    free(e->ip);
    free(e->node);
    free(e->hostname);
}

void slice_destroy(struct slice *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->port_count; i++)
        free(s->ports[i].name);
    for (size_t i = 0; i < s->endpoint_count; i++)
        endpoint_finish(&s->endpoints[i]);
    free(s->ports);
    free(s->endpoints);
    free(s->ns);
    free(s->name);
    free(s->service);
    free(s);
}

/* --- pods --- */

static void add_named_port(struct reader *r, const json_t *o, struct pod *p)
{
    const char *name = text_at(r, o, "name");

    if (!name || p->port_count == PORTS_MAX)
        return;
    if ((p->port_count & (p->port_count - 1)) == 0)
        p->ports = xrealloc(p->ports,
                            (p->port_count ? p->port_count * 2 : 1) * sizeof(*p->ports));
    p->ports[p->port_count++] = (struct container_port){
        .name = xstrdup(name),
        .number = port_at(r, o, "containerPort"),
        .tcp = is_tcp(r, o),
    };
}

static void read_containers(struct reader *r, const json_t *containers, struct pod *p)
{
    size_t i, j;
    json_t *container, *port;

    json_array_foreach((json_t *)containers, i, container)
        json_array_foreach((json_t *)array_at(r, container, "ports"), j, port)
            add_named_port(r, port, p);
}

static void add_address(struct pod *p, const char *ip)
{
    size_t i = 0;

    if (!ip || strlen(ip) > TEXT_MAX)
        return;
    while (i < POD_IPS_MAX && p->ips[i] && strcmp(p->ips[i], ip) != 0)
        i++;
    if (i < POD_IPS_MAX && !p->ips[i])
        p->ips[i] = xstrdup(ip);
}

static void read_addresses(struct reader *r, const json_t *status, struct pod *p)
{
    size_t i;
    json_t *o;

    add_address(p, text_at(r, status, "podIP"));
    json_array_foreach((json_t *)array_at(r, status, "podIPs"), i, o)
        add_address(p, text_at(r, o, "ip"));
}

static const json_t *condition(struct reader *r, const json_t *status, const char *type)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)array_at(r, status, "conditions"), i,
                       o) if (text_is(r, o, "type", type)) return o;
    return NULL;
}

/* "ImagePullBackOff", "CrashLoopBackOff", "Error", ...: of the first container that has
 * not come up. */
static const char *container_reason(struct reader *r, const json_t *statuses)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)statuses, i, o)
    {
        const json_t *state = object_at(r, o, "state");
        const json_t *waiting = object_at(r, state, "waiting");
        const json_t *ended = object_at(r, state, "terminated");
        const char *reason = text_at(r, waiting ? waiting : ended, "reason");
        if (reason && strcmp(reason, "Completed") != 0)
            return reason;
    }
    return NULL;
}

static const char *reason_of(struct reader *r, const json_t *status)
{
    const char *reason = text_at(r, status, "reason");

    if (!reason)
        reason = container_reason(r, array_at(r, status, "initContainerStatuses"));
    if (!reason || strcmp(reason, "PodInitializing") == 0) {
        const char *later = container_reason(r, array_at(r, status, "containerStatuses"));
        reason = later ? later : reason;
    }
    return reason ? reason : text_at(r, condition(r, status, "PodScheduled"), "reason");
}

static void read_status(struct reader *r, const json_t *status, struct pod *p)
{
    p->phase = dup_or_empty(r, status, "phase");
    p->ready = text_is(r, condition(r, status, "Ready"), "status", "True");
    p->reason = xstrdup_or_null(reason_of(r, status));
    read_addresses(r, status, p);
}

static void pod_destroyp(struct pod **p)
{
    pod_destroy(*p);
}

enum err pod_parse(const json_t *object, struct pod **ret, struct diag *why)
{
    struct reader r = { NULL };
    AUTO(pod_destroyp) struct pod *p = xcalloc(1, sizeof(*p));
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *spec = object_at(&r, object, "spec");

    p->ns = dup_or_empty(&r, metadata, "namespace");
    p->name = dup_or_empty(&r, metadata, "name");
    p->uid = dup_or_empty(&r, metadata, "uid");
    p->key = pod_key(p->ns, p->name, p->uid);
    p->terminating = field(metadata, "deletionTimestamp") != NULL;
    p->node = dup_at(&r, spec, "nodeName");
    p->hostname = dup_at(&r, spec, "hostname");
    p->subdomain = dup_at(&r, spec, "subdomain");
    p->host_network = flag_at(&r, spec, "hostNetwork", false);
    read_containers(&r, array_at(&r, spec, "containers"), p);
    read_containers(&r, array_at(&r, spec, "initContainers"), p);
    read_status(&r, object_at(&r, object, "status"), p);

    enum err e = verdict(&r, "pods", p->name, why);
    if (!e)
        *ret = TAKE(p);
    return e;
}

void pod_destroy(struct pod *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->port_count; i++)
        free(p->ports[i].name);
    for (size_t i = 0; i < POD_IPS_MAX; i++)
        free(p->ips[i]);
    free(p->ports);
    free(p->ns);
    free(p->name);
    free(p->uid);
    free(p->key);
    free(p->node);
    free(p->hostname);
    free(p->subdomain);
    free(p->phase);
    free(p->reason);
    free(p);
}

/* --- lists --- */

/* Room for one more: the array doubles whenever its length is a power of two. */
static void *grown(void *at, size_t count)
{
    if (count & (count - 1))
        return at;
    return xrealloc(at, (count ? count * 2 : 1) * sizeof(void *));
}

/* Few slices are searched one by one: a map for each service would cost more. */
#define SLICES_UNINDEXED 16

static void note_place(struct slice_list *l, size_t i)
{
    map_set(&l->places, str_of(l->at[i]->name), (void *)(uintptr_t)(i + 1));
}

/* The index, or l->count when there is no slice of that name. */
static size_t find_slice(const struct slice_list *l, const char *name)
{
    uintptr_t place = (uintptr_t)map_get(&l->places, str_of(name));
    size_t i = 0;

    if (l->places.count)
        return place ? place - 1 : l->count;
    while (i < l->count && strcmp(l->at[i]->name, name) != 0)
        i++;
    return i;
}

void slice_list_add(struct slice_list *l, struct slice *s)
{
    l->at = grown(l->at, l->count);
    l->at[l->count++] = s;
    if (l->places.count)
        note_place(l, l->count - 1);
    else if (l->count > SLICES_UNINDEXED)
        for (size_t i = 0; i < l->count; i++)
            note_place(l, i);
}

bool slice_list_put(struct slice_list *l, struct slice *s)
{
    size_t i = find_slice(l, s->name);

    if (i == l->count) {
        slice_list_add(l, s);
        return true;
    }
    bool changed = s->version == 0 || s->version != l->at[i]->version;
    slice_destroy(changed ? l->at[i] : s);
    if (changed)
        l->at[i] = s;
    return changed;
}

/* The last one takes its place. */
bool slice_list_remove(struct slice_list *l, const char *name)
{
    size_t i = find_slice(l, name);

    if (i == l->count)
        return false;
    map_remove(&l->places, str_of(name));
    slice_destroy(l->at[i]);
    l->at[i] = l->at[--l->count];
    if (l->places.count && i < l->count)
        note_place(l, i);
    if (l->count == 0)
        slice_list_finish(l);
    return true;
}

void slice_list_finish(struct slice_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        slice_destroy(l->at[i]);
    free(l->at);
    map_finish(&l->places);
    *l = (struct slice_list){ 0 };
}

void pod_list_add(struct pod_list *l, struct pod *p)
{
    if (l->count == PODS_MAX) {
        l->left_out++;
        pod_destroy(p);
        return;
    }
    l->at = grown(l->at, l->count);
    l->at[l->count++] = p;
}

void pod_list_finish(struct pod_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        pod_destroy(l->at[i]);
    free(l->at);
    *l = (struct pod_list){ 0 };
}
