#include "catalog/entry.h"

#include "base/map.h"
#include "base/own.h"
#include "catalog/container_ports.h"
#include "catalog/endpoint.h"
#include "catalog/note.h"

#define ENDPOINTS_MAX 5000

bool entry_has_ready(const struct service *s)
{
    return s->endpoint_count && s->endpoints[0]->ready && !s->endpoints[0]->terminating;
}

/* --- building --- */

/* A service under construction.  by_key finds a pod that was added before, from another slice. */
struct builder {
    struct service *service;
    const struct map *missing; /* or NULL */
    struct endpoint_index by_key;
    struct container_ports ports;
    struct map by_address; /* of pods, for slices that name an address only */
    size_t not_pods;       /* endpoints that are not pods */
};

static void builder_init(struct builder *b, const struct service_spec *spec,
                         const struct map *missing)
{
    *b = (struct builder){ .service = service_create(spec), .missing = missing };
    map_init(&b->by_address);
    container_ports_init(&b->ports, b->service->ports, b->service->port_count);
}

static bool is_missing(const struct builder *b, struct str key)
{
    return b->missing && b->missing->count && map_get(b->missing, key);
}

static bool is_full(const struct builder *b)
{
    return b->service->endpoint_count == ENDPOINTS_MAX;
}

/* Owns `e` then; if the service is full it is only counted. */
static void add_endpoint(struct builder *b, struct endpoint *e)
{
    struct service *s = b->service;

    if (is_full(b)) {
        s->endpoints_left_out++;
        endpoint_unref(e);
        return;
    }
    service_add_endpoint(s, e);
    endpoint_index_add(&b->by_key, s->endpoints, s->endpoint_count - 1);
}

/* The place of the endpoint with that key, or NULL. */
static struct endpoint **find_endpoint(const struct builder *b, struct str key,
                                       uint32_t rank)
{
    size_t place = endpoint_index_find(&b->by_key, b->service->endpoints, key, rank);
    return place == SIZE_MAX ? NULL : &b->service->endpoints[place];
}

static int by_preference(const void *a, const void *b)
{
    const struct endpoint *x = *(struct endpoint *const *)a;
    const struct endpoint *y = *(struct endpoint *const *)b;
    int differ = endpoint_preference(x) - endpoint_preference(y);

    if (!differ)
        differ = strcmp(x->pod, y->pod);
    return differ ? differ : strcmp(x->key, y->key);
}

static int by_rank(const void *a, const void *b)
{
    return endpoint_order(*(struct endpoint *const *)a, *(struct endpoint *const *)b);
}

static struct service *finish(struct builder *b)
{
    struct service *s = b->service;

    if (s->endpoints)
        qsort(s->endpoints, s->endpoint_count, sizeof(struct endpoint *),
              s->endpoint_count > SERVICE_SUBSET ? by_rank : by_preference);
    endpoint_index_finish(&b->by_key);
    map_finish(&b->by_address);
    container_ports_finish(&b->ports);
    return s;
}

static bool can_serve(const struct pod *p)
{
    return pod_is_running(p) && (!p->terminating || p->ready);
}

/* Marks an address that several pods of the namespace have. */
static struct pod ambiguous;

static void entry_add_address(struct map *by_address, const char *ip, struct pod *pod)
{
    struct pod *other = map_get(by_address, str_of(ip));

    bool same = !other || (other->key && strcmp(other->key, pod->key) == 0);
    map_set(by_address, str_of(ip), same ? pod : &ambiguous);
}

/* Without pods that have ended, which keep their addresses, and without host-network pods, whose
 * addresses are the node's. */
static void index_addresses(struct builder *b, const struct pod_list *pods)
{
    for (size_t i = 0; i < pods->count; i++) {
        struct pod *p = pods->at[i];
        bool counts = can_serve(p) && !p->host_network && !is_missing(b, str_of(p->key));
        for (size_t k = 0; counts && k < POD_IPS_MAX && p->ips[k]; k++)
            entry_add_address(&b->by_address, p->ips[k], p);
    }
}

/* A pod of several slices has the ports of all of them. */
static void entry_add_ports(struct builder *b, struct endpoint *e, const uint16_t *more)
{
    const uint16_t *both = container_ports_merge(&b->ports, e->ports, more);

    if (!both) {
        b->service->endpoints_left_out++;
        return;
    }
    container_ports_unref(e->ports);
    e->ports = both;
}

/* The result borrows everything; the ports are a reference. */
static struct endpoint endpoint_from_slice(const struct slice *slice,
                                           const struct slice_endpoint *from,
                                           const uint16_t *ports)
{
    return (struct endpoint){
        .ns = slice->ns,
        .pod = from->pod,
        .uid = from->uid,
        .ip = from->ip,
        .node = from->node,
        .hostname = from->hostname,
        .ready = from->ready && !from->terminating,
        .terminating = from->terminating,
        .ports = container_ports_ref(ports),
    };
}

/* IPv4 where there are both. */
static bool is_better_address(const char *ip, const char *than)
{
    return ip && (!than || (strchr(than, ':') && !strchr(ip, ':')));
}

/* The same pod in another slice: for its other address family, for another port, or while it
 * moves between slices.  Merge the fields. */
static void merge(struct endpoint **place, const struct slice_endpoint *from)
{
    struct endpoint *e = *place, both;

    e->terminating = e->terminating || from->terminating;
    e->ready = (e->ready || from->ready) && !e->terminating;
    bool names_it = !e->hostname && from->hostname;
    bool better = is_better_address(from->ip, e->ip);
    if (!names_it && !better)
        return;
    both = *e;
    both.hostname = names_it ? from->hostname : e->hostname;
    both.ip = better ? from->ip : e->ip;
    container_ports_ref(both.ports);
    *place = endpoint_pack(&both);
    endpoint_unref(e);
}

static void add_named(struct builder *b, const struct slice *slice,
                      const struct slice_endpoint *from, const uint16_t *ports)
{
    char room[ENDPOINT_KEY_ROOM];
    struct str key = endpoint_key(slice->ns, from->pod, from->uid, room);

    if ((from->terminating && !from->serving) || is_missing(b, key))
        return;
    uint32_t rank = endpoint_rank(key);
    struct endpoint **known = find_endpoint(b, key, rank);
    if (known) {
        merge(known, from);
        entry_add_ports(b, *known, ports);
    } else if (is_full(b)) {
        b->service->endpoints_left_out++;
    } else {
        struct endpoint e = endpoint_from_slice(slice, from, ports);
        e.key = key.at;
        e.rank = rank;
        add_endpoint(b, endpoint_pack(&e));
    }
}

/* A slice written by hand may have an address and no pod.  The pod with this address becomes an
 * endpoint, ready or not as the slice states. */
static void add_by_address(struct builder *b, const struct slice *slice,
                           const struct slice_endpoint *from, const uint16_t *ports)
{
    const struct pod *pod = map_get(&b->by_address, str_of(from->ip));

    if (!pod || pod == &ambiguous) {
        b->not_pods++;
        return;
    }
    struct slice_endpoint named = *from;
    named.pod = pod->name;
    named.uid = pod->uid;
    named.node = pod->node;
    named.terminating = from->terminating || pod->terminating;
    b->service->from_pods = true;
    add_named(b, slice, &named, ports);
}

static void add_from_slice(struct builder *b, const struct slice *slice,
                           const struct slice_endpoint *from, const uint16_t *ports)
{
    bool by_address = from->address_only && !b->service->has_selector;

    b->service->by_address += by_address;
    if (by_address)
        add_by_address(b, slice, from, ports);
    else if (from->pod)
        add_named(b, slice, from, ports);
    else
        b->not_pods++;
}

static void add_slice(struct builder *b, const struct slice *slice)
{
    const uint16_t *ports = container_ports_of_slice(&b->ports, slice);

    b->service->endpoints_left_out += slice->left_out;
    if (!ports) {
        b->service->endpoints_left_out += slice->endpoint_count;
        return;
    }
    for (size_t i = 0; i < slice->endpoint_count; i++)
        add_from_slice(b, slice, &slice->endpoints[i], ports);
    container_ports_unref(ports);
}

static void write_note(struct service *s, const struct service_spec *spec,
                       const struct pod_list *pods, size_t not_pods)
{
    if (!entry_has_ready(s))
        s->pods_note = note_of_service(s, spec->selector, pods, not_pods);
}

static void count_pods(struct service *s, const struct pod_list *pods)
{
    s->pods_seen = pods->count + pods->left_out;
    for (size_t i = 0; i < pods->count; i++)
        s->pods_over += pod_is_over(pods->at[i]);
}

/* --- from pods --- */

/* Takes over the reference to the ports; NULL: none.  not_ready_too: a pod that is not ready
 * counts as ready, unless it is terminating. */
static struct endpoint *endpoint_from_pod(const struct pod *pod, const struct service *s,
                                          const uint16_t *ports, bool not_ready_too)
{
    bool member = pod->hostname && pod->subdomain && strcmp(pod->subdomain, s->name) == 0;
    struct endpoint e = {
        .ns = pod->ns,
        .pod = pod->name,
        .uid = pod->uid,
        .ip = pod->ips[0],
        .node = pod->node,
        .hostname = member ? pod->hostname : NULL,
        .ready = (pod->ready || not_ready_too) && !pod->terminating,
        .terminating = pod->terminating,
        .ports = ports,
    };
    return endpoint_pack(&e);
}

static struct endpoint *candidate(struct builder *b, const struct service_spec *spec,
                                  const struct pod *p)
{
    if (!can_serve(p) || is_missing(b, str_of(p->key)))
        return NULL;
    const uint16_t *ports = container_ports_of_pod(&b->ports, p);
    if (!ports) {
        b->service->endpoints_left_out++;
        return NULL;
    }
    return endpoint_from_pod(p, b->service, ports, spec->not_ready_too);
}

struct service *entry_from_pods(const struct service_spec *spec,
                                const struct pod_list *pods, const struct map *missing)
{
    struct builder b;

    builder_init(&b, spec, missing);
    for (size_t i = 0; i < pods->count; i++) {
        struct endpoint *e = candidate(&b, spec, pods->at[i]);
        if (e && !find_endpoint(&b, str_of(e->key), e->rank))
            add_endpoint(&b, e);
        else
            endpoint_unref(
                e); /* twice in the list, which was restarted while it was read */
    }

    struct service *s = finish(&b);
    count_pods(s, pods);
    s->endpoints_left_out += pods->left_out;
    write_note(s, spec, pods, 0);
    return s;
}

/* --- from slices --- */

static bool any_ready(const struct service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (s->endpoints[i]->ready)
            return true;
    return false;
}

/* Add a ready pod that the slices have as not ready, or do not have. */
static void add_ready_pod(struct builder *b, const struct service_spec *spec,
                          const struct pod *p)
{
    struct endpoint *e = candidate(b, spec, p);
    struct endpoint **known = e ? find_endpoint(b, str_of(e->key), e->rank) : NULL;

    if (!e || !e->ready || (known && (*known)->terminating)) {
        endpoint_unref(e);
        return;
    }
    b->service->from_pods = true;
    if (known) {
        (*known)->ready = true;
        endpoint_unref(e);
    } else {
        add_endpoint(b, e);
    }
}

struct service *entry_from_slices(const struct service_spec *spec,
                                  const struct slice_list *slices,
                                  const struct pod_list *pods, const struct map *missing)
{
    struct builder b;

    builder_init(&b, spec, missing);
    if (pods && !spec->selector)
        index_addresses(&b, pods);
    for (size_t i = 0; i < slices->count; i++)
        add_slice(&b, slice_list_at(slices, i));
    bool behind = pods && spec->selector && !any_ready(b.service);
    for (size_t i = 0; behind && i < pods->count; i++)
        add_ready_pod(&b, spec, pods->at[i]);

    struct service *s = finish(&b);
    s->pods_seen = s->endpoint_count;
    if (pods && spec->selector)
        count_pods(s, pods);
    write_note(s, spec, pods, b.not_pods);
    return s;
}

/* --- from one pod --- */

/* Its ports are those that the containers declare for TCP; any other may be requested, too. */
static struct service_spec *spec_for_pod(const struct pod *pod)
{
    AUTO_FREE struct service_port *ports = xcalloc(pod->port_count + 1, sizeof(*ports));
    struct service_spec loose = {
        .kind = SERVICE_POD, .ns = pod->ns, .name = pod->name, .ports = ports
    };

    for (size_t i = 0; i < pod->port_count; i++) {
        const struct container_port *p = &pod->ports[i];
        if (p->tcp && p->number)
            ports[loose.port_count++] = (struct service_port){
                .name = p->name, .number = p->number, .tcp = true, .target = p->number
            };
    }
    return spec_pack(&loose);
}

struct service *entry_for_pod(const struct pod *pod)
{
    struct service_spec *spec = spec_for_pod(pod);
    struct service *s = service_create(spec);

    spec_unref(spec);
    s->pods_seen = 1;
    s->pods_over = pod_is_over(pod);
    if (can_serve(pod))
        service_add_endpoint(s, endpoint_from_pod(pod, s, NULL, false));
    if (!entry_has_ready(s))
        s->pods_note = note_of_pod(pod);
    return s;
}

/* --- comparing --- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_port(const struct service_port *a, const struct service_port *b)
{
    return a->number == b->number && a->tcp == b->tcp && a->target == b->target &&
           same_text(a->name, b->name) && same_text(a->target_name, b->target_name) &&
           same_text(a->app_protocol, b->app_protocol);
}

static bool same_numbers(const uint16_t *a, const uint16_t *b, size_t count)
{
    return a == b || (a && b && memcmp(a, b, count * sizeof(*a)) == 0);
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->ready == b->ready && a->terminating == b->terminating &&
           same_text(a->key, b->key) && same_text(a->ip, b->ip) &&
           same_text(a->hostname, b->hostname) && same_text(a->node, b->node);
}

bool entry_equal(const struct service *a, const struct service *b)
{
    if (a->kind != b->kind || a->has_selector != b->has_selector ||
        a->headless != b->headless || a->sticky != b->sticky ||
        a->port_count != b->port_count || a->endpoint_count != b->endpoint_count ||
        a->ports_left_out != b->ports_left_out ||
        a->endpoints_left_out != b->endpoints_left_out || a->pods_seen != b->pods_seen ||
        a->from_pods != b->from_pods || !same_text(a->pods_note, b->pods_note) ||
        !same_text(a->external_name, b->external_name) || !same_text(a->name, b->name))
        return false;
    for (size_t i = 0; i < a->port_count; i++)
        if (!same_port(&a->ports[i], &b->ports[i]))
            return false;
    const uint16_t *like_a = NULL, *like_b = NULL; /* known to be the same */
    for (size_t i = 0; i < a->endpoint_count; i++) {
        const struct endpoint *x = a->endpoints[i], *y = b->endpoints[i];
        if (!same_endpoint(x, y))
            return false;
        if (x->ports == like_a && y->ports == like_b)
            continue;
        if (!same_numbers(x->ports, y->ports, a->port_count))
            return false;
        like_a = x->ports;
        like_b = y->ports;
    }
    return true;
}
