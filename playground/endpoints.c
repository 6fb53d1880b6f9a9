#include "playground/endpoints.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"

#define MANAGER "endpointslice-controller.k8s.io"
#define GROUPS_MAX 64 /* maximum of slices of one service */

/* A slice that is being built: endpoints whose ports are equal. */
struct group {
    json_t *ports, *endpoints;
};

struct groups {
    struct group at[GROUPS_MAX];
    size_t count;
};

static bool selects(const json_t *service, const json_t *pod)
{
    const json_t *selector = object_at(service, "spec", "selector", NULL);
    const json_t *labels = object_labels(pod);
    const char *key;
    json_t *value;

    if (json_object_size(selector) == 0 ||
        strcmp(object_namespace(service), object_namespace(pod)) != 0)
        return false;
    json_object_foreach((json_t *)selector, key, value)
    {
        if (!json_equal(value, json_object_get(labels, key)))
            return false;
    }
    return true;
}

static json_int_t named_port(const json_t *pod, const char *name)
{
    const json_t *containers = object_at(pod, "spec", "containers", NULL);
    size_t i, j;
    json_t *container, *port;

    json_array_foreach(containers, i, container)
    {
        json_array_foreach(json_object_get(container, "ports"), j, port)
        {
            const char *own = json_string_value(json_object_get(port, "name"));
            if (own && strcmp(own, name) == 0)
                return json_integer_value(json_object_get(port, "containerPort"));
        }
    }
    return 0;
}

static json_int_t target_port(const json_t *service_port, const json_t *pod)
{
    const json_t *target = json_object_get(service_port, "targetPort");
    if (json_is_string(target))
        return named_port(pod, json_string_value(target));
    return json_is_integer(target)
               ? json_integer_value(target)
               : json_integer_value(json_object_get(service_port, "port"));
}

/* The service's ports with the port numbers of this pod. */
static json_t *resolved_ports(const json_t *service, const json_t *pod)
{
    json_t *ports = json_array();
    size_t i;
    json_t *p;

    json_array_foreach(object_at(service, "spec", "ports", NULL), i, p)
    {
        json_int_t number = target_port(p, pod);
        const char *name = json_string_value(json_object_get(p, "name"));
        const char *protocol = json_string_value(json_object_get(p, "protocol"));
        if (number)
            json_array_append_new(
                ports, json_pack("{s:s, s:s, s:I}", "name", name ? name : "", "protocol",
                                 protocol ? protocol : "TCP", "port", number));
    }
    return ports;
}

static json_t *endpoint_of(const json_t *service, const json_t *pod)
{
    bool ready = pod_ready(pod);
    bool terminating = pod_terminating(pod);
    json_t *e = json_pack(
        "{s:[s], s:{s:b, s:b, s:b}, s:{s:s, s:s, s:s, s:s}, s:s}", "addresses",
        json_string_value(object_at(pod, "status", "podIP", NULL)), "conditions", "ready",
        ready && !terminating, "serving", ready, "terminating", terminating, "targetRef",
        "kind", "Pod", "namespace", object_namespace(pod), "name", object_name(pod),
        "uid", object_uid(pod), "nodeName",
        json_string_value(object_at(pod, "spec", "nodeName", NULL)));

    const json_t *hostname = object_at(pod, "spec", "hostname", NULL);
    const char *subdomain = json_string_value(object_at(pod, "spec", "subdomain", NULL));
    if (hostname && subdomain && strcmp(subdomain, object_name(service)) == 0)
        json_object_set(e, "hostname", (json_t *)hostname);
    return e;
}

/* The group with these ports that has room; takes the reference to ports. */
static struct group *group_for(struct groups *groups, json_t *ports)
{
    for (size_t i = 0; i < groups->count; i++) {
        struct group *g = &groups->at[i];
        if (json_equal(g->ports, ports) &&
            json_array_size(g->endpoints) < SLICE_ENDPOINTS) {
            json_decref(ports);
            return g;
        }
    }
    if (groups->count == GROUPS_MAX) {
        json_decref(ports);
        return &groups->at[GROUPS_MAX - 1];
    }
    groups->at[groups->count] = (struct group){ ports, json_array() };
    return &groups->at[groups->count++];
}

static void gather(const struct store *s, const json_t *service, struct groups *groups)
{
    for (size_t i = 0; i < store_count(s, KIND_POD); i++) {
        const json_t *pod = store_at(s, KIND_POD, i);
        if (!selects(service, pod) || !object_at(pod, "status", "podIP", NULL))
            continue;
        struct group *g = group_for(groups, resolved_ports(service, pod));
        json_array_append_new(g->endpoints, endpoint_of(service, pod));
    }
    if (groups->count == 0) /* the real controller keeps one empty slice, too */
        groups->at[groups->count++] = (struct group){ json_null(), json_null() };
}

/* "web-x7k2p": the same for the same service and place. */
static void slice_name(const json_t *service, size_t index, char out[static 280])
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    AUTO_FREE char *seed =
        xasprintf("%s/%s/%zu", object_namespace(service), object_name(service), index);
    uint64_t hash = str_hash(str_of(seed));
    char suffix[6] = "";

    for (size_t i = 0; i < 5; i++, hash /= 27)
        suffix[i] = letters[hash % 27];
    snprintf(out, 280, "%.250s-%s", object_name(service), suffix);
}

static json_t *slice_of(const json_t *service, const struct group *g, const char *name)
{
    json_t *slice = json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}, s:s, "
        "s:O, s:O}",
        "apiVersion", "discovery.k8s.io/v1", "kind", "EndpointSlice", "metadata", "name",
        name, "namespace", object_namespace(service), "labels",
        "endpointslice.kubernetes.io/managed-by", MANAGER, "kubernetes.io/service-name",
        object_name(service), "ownerReferences", "apiVersion", "v1", "kind", "Service",
        "name", object_name(service), "uid", object_uid(service), "controller", 1,
        "blockOwnerDeletion", 1, "addressType", "IPv4", "endpoints", g->endpoints,
        "ports", g->ports);
    const char *ip = json_string_value(object_at(service, "spec", "clusterIP", NULL));
    if (ip && strcmp(ip, "None") == 0)
        json_object_set_new((json_t *)object_labels(slice),
                            "service.kubernetes.io/headless", json_string(""));
    return slice;
}

static bool same_slice(const json_t *a, const json_t *b)
{
    return a &&
           json_equal(json_object_get(a, "endpoints"), json_object_get(b, "endpoints")) &&
           json_equal(json_object_get(a, "ports"), json_object_get(b, "ports"));
}

static void put_slice(struct store *s, const json_t *service, size_t index,
                      const struct group *g)
{
    char name[280];
    slice_name(service, index, name);
    json_t *slice = slice_of(service, g, name);
    const json_t *old = store_get(s, KIND_ENDPOINTSLICE, object_namespace(service), name);
    if (same_slice(old, slice))
        json_decref(slice);
    else
        store_put(s, KIND_ENDPOINTSLICE, slice);
}

static bool has_selector(const json_t *service)
{
    return json_object_size(object_at(service, "spec", "selector", NULL)) > 0;
}

/* Deletes slices that are not needed any more. */
static void drop_slices(struct store *s, const json_t *service, size_t from)
{
    char name[280];
    for (size_t i = from; i < GROUPS_MAX; i++) {
        slice_name(service, i, name);
        if (!store_delete(s, KIND_ENDPOINTSLICE, object_namespace(service), name))
            break;
    }
}

static void add_address(json_t *subset, json_t *endpoint)
{
    const json_t *conditions = json_object_get(endpoint, "conditions");
    bool ready = json_is_true(json_object_get(conditions, "ready"));
    const char *key = ready ? "addresses" : "notReadyAddresses";
    json_t *address = json_pack("{s:O, s:O}", "ip",
                                json_array_get(json_object_get(endpoint, "addresses"), 0),
                                "targetRef", json_object_get(endpoint, "targetRef"));

    if (json_is_true(json_object_get(conditions, "terminating"))) {
        json_decref(address);
        return;
    }
    if (!json_object_get(subset, key))
        json_object_set_new(subset, key, json_array());
    json_array_append_new(json_object_get(subset, key), address);
}

static json_t *subset_of(const struct group *g)
{
    json_t *subset = json_pack("{s:O}", "ports", g->ports);
    size_t i;
    json_t *endpoint;

    json_array_foreach(g->endpoints, i, endpoint) add_address(subset, endpoint);
    return subset;
}

/* Writes the same endpoints as an Endpoints object, which has the name of its service. */
static void put_endpoints(struct store *s, const json_t *service,
                          const struct groups *groups)
{
    const char *ns = object_namespace(service), *name = object_name(service);
    json_t *subsets = json_array();

    for (size_t i = 0; i < groups->count; i++)
        if (json_array_size(groups->at[i].endpoints))
            json_array_append_new(subsets, subset_of(&groups->at[i]));
    const json_t *old = store_get(s, KIND_ENDPOINTS, ns, name);
    if (old && json_equal(json_object_get(old, "subsets"), subsets))
        json_decref(subsets);
    else
        store_put(s, KIND_ENDPOINTS,
                  json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "v1", "kind",
                            "Endpoints", "metadata", "name", name, "namespace", ns,
                            "subsets", subsets));
}

static void sync_service(struct store *s, const json_t *service)
{
    struct groups groups = { .count = 0 };
    gather(s, service, &groups);
    put_endpoints(s, service, &groups);
    for (size_t i = 0; i < groups.count; i++) {
        put_slice(s, service, i, &groups.at[i]);
        json_decref(groups.at[i].ports);
        json_decref(groups.at[i].endpoints);
    }
    drop_slices(s, service, groups.count);
}

static bool is_orphan(const struct store *s, const json_t *slice)
{
    const json_t *labels = object_labels(slice);
    const char *owner =
        json_string_value(json_object_get(labels, "kubernetes.io/service-name"));
    const char *manager = json_string_value(
        json_object_get(labels, "endpointslice.kubernetes.io/managed-by"));
    if (!owner || !manager || strcmp(manager, MANAGER) != 0)
        return false;
    return !store_get(s, KIND_SERVICE, object_namespace(slice), owner);
}

static void drop_orphans(struct store *s)
{
    for (size_t i = store_count(s, KIND_ENDPOINTSLICE); i-- > 0;) {
        const json_t *slice = store_at(s, KIND_ENDPOINTSLICE, i);
        if (!is_orphan(s, slice))
            continue;
        AUTO_FREE char *ns = xstrdup(object_namespace(slice));
        AUTO_FREE char *name = xstrdup(object_name(slice));
        store_delete(s, KIND_ENDPOINTSLICE, ns, name);
    }
}

static void drop_orphaned_endpoints(struct store *s)
{
    for (size_t i = store_count(s, KIND_ENDPOINTS); i-- > 0;) {
        const json_t *o = store_at(s, KIND_ENDPOINTS, i);
        AUTO_FREE char *ns = xstrdup(object_namespace(o));
        AUTO_FREE char *name = xstrdup(object_name(o));
        if (!store_get(s, KIND_SERVICE, ns, name))
            store_delete(s, KIND_ENDPOINTS, ns, name);
    }
}

static bool is_of_scale(const char *ns)
{
    return strncmp(ns, SCALE_NAMESPACE, strlen(SCALE_NAMESPACE)) == 0 ||
           strcmp(ns, ROLL_NAMESPACE) == 0;
}

void endpoints_sync(struct store *s)
{
    for (size_t i = 0; i < store_count(s, KIND_SERVICE); i++) {
        const json_t *service = store_at(s, KIND_SERVICE, i);
        if (has_selector(service) && !is_of_scale(object_namespace(service)))
            sync_service(s, service);
    }
    drop_orphans(s);
    drop_orphaned_endpoints(s);
}
