#include "catalog/entry.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "base/own.h"
#include "catalog/container_ports.h"

#define ENDPOINTS_MAX 5000
#define NOTE_SIZE 512
#define NOTE_PODS 5

struct endpoint *endpoint_ref(const struct endpoint *e)
{
    struct endpoint *shared = (struct endpoint *)e;

    shared->refs++;
    return shared;
}

void endpoint_unref(struct endpoint *e)
{
    if (!e || --e->refs)
        return;
    free(e->ns);
    free(e->pod);
    free(e->uid);
    free(e->key);
    free(e->ip);
    free(e->node);
    free(e->hostname);
    container_ports_unref(e->ports);
    free(e);
}

struct service *service_ref(const struct service *s)
{
    struct service *shared = (struct service *)s;

    shared->refs++;
    return shared;
}

void service_unref(struct service *s)
{
    if (!s || --s->refs)
        return;
    for (size_t i = 0; i < s->endpoint_count; i++)
        endpoint_unref(s->endpoints[i]);
    for (size_t i = 0; i < s->port_count; i++) {
        free(s->ports[i].name);
        free(s->ports[i].app_protocol);
        free(s->ports[i].target_name);
    }
    free(s->endpoints);
    free(s->ports);
    free(s->ns);
    free(s->name);
    free(s->external_name);
    free(s->pods_note);
    free(s);
}

uint16_t endpoint_port(const struct service *s, const struct endpoint *e, size_t index)
{
    return index < s->port_count && e->ports ? e->ports[index] : 0;
}

bool entry_has_ready(const struct service *s)
{
    return s->endpoint_count && s->endpoints[0]->ready && !s->endpoints[0]->terminating;
}

/* --- building --- */

/* A service under construction.  by_key finds the pod that several slices name. */
struct builder {
    struct service *service;
    const struct map *missing; /* or NULL */
    struct map by_key;
    struct container_ports ports;
    struct map by_address; /* of pods, for slices that name an address only */
    size_t strangers;      /* endpoints that are not pods */
};

static struct service *service_from_spec(const struct service_spec *spec)
{
    struct service *s = xcalloc(1, sizeof(*s));

    *s = (struct service){
        .refs = 1,
        .kind = spec->kind,
        .ns = xstrdup(spec->ns),
        .name = xstrdup(spec->name),
        .external_name = xstrdup_or_null(spec->external_name),
        .has_selector = spec->selector != NULL,
        .headless = spec->headless,
        .sticky = spec->sticky,
        .ports = xcalloc(spec->port_count + 1, sizeof(*s->ports)),
        .port_count = spec->port_count,
        .ports_left_out = spec->left_out,
    };
    for (size_t i = 0; i < spec->port_count; i++) {
        s->ports[i] = spec->ports[i];
        s->ports[i].name = xstrdup(spec->ports[i].name);
        s->ports[i].app_protocol = xstrdup_or_null(spec->ports[i].app_protocol);
        s->ports[i].target_name = xstrdup_or_null(spec->ports[i].target_name);
    }
    return s;
}

static void builder_init(struct builder *b, const struct service_spec *spec,
                         const struct map *missing)
{
    *b = (struct builder){ .service = service_from_spec(spec), .missing = missing };
    map_init(&b->by_key);
    map_init(&b->by_address);
    container_ports_init(&b->ports, b->service->ports, b->service->port_count);
}

static bool is_missing(const struct builder *b, const char *key)
{
    return b->missing && map_get(b->missing, str_of(key));
}

/* Takes it; one too many is left out. */
static void add_endpoint(struct builder *b, struct endpoint *e)
{
    struct service *s = b->service;

    if (s->endpoint_count == ENDPOINTS_MAX) {
        s->endpoints_left_out++;
        endpoint_unref(e);
        return;
    }
    if ((s->endpoint_count & (s->endpoint_count - 1)) == 0) {
        size_t room = s->endpoint_count ? s->endpoint_count * 2 : 1;
        s->endpoints = xrealloc(s->endpoints, room * sizeof(struct endpoint *));
    }
    s->endpoints[s->endpoint_count++] = e;
}

/* 0 is the best. */
static int preference(const struct endpoint *e)
{
    return e->terminating ? 2 : e->ready ? 0 : 1;
}

static int by_preference(const void *a, const void *b)
{
    const struct endpoint *x = *(struct endpoint *const *)a;
    const struct endpoint *y = *(struct endpoint *const *)b;
    int differ = preference(x) - preference(y);

    if (!differ)
        differ = strcmp(x->pod, y->pod);
    return differ ? differ : strcmp(x->key, y->key);
}

static struct service *finish(struct builder *b)
{
    struct service *s = b->service;

    if (s->endpoint_count)
        qsort(s->endpoints, s->endpoint_count, sizeof(struct endpoint *), by_preference);
    map_finish(&b->by_key);
    map_finish(&b->by_address);
    container_ports_finish(&b->ports);
    return s;
}

static bool is_running(const struct pod *p)
{
    return strcmp(p->phase, "Running") == 0;
}

static bool can_serve(const struct pod *p)
{
    return is_running(p) && (!p->terminating || p->ready);
}

/* An address that several pods of the namespace have. */
static struct pod ambiguous;

static void add_address(struct map *by_address, const char *ip, struct pod *pod)
{
    struct pod *other = map_get(by_address, str_of(ip));

    map_set(by_address, str_of(ip), other && other != pod ? &ambiguous : pod);
}

/* Pods that have ended keep their addresses, and those of host-network pods are the node's. */
static void index_addresses(struct builder *b, const struct pod_list *pods)
{
    for (size_t i = 0; i < pods->count; i++) {
        struct pod *p = pods->at[i];
        bool counts = can_serve(p) && !p->host_network && !is_missing(b, p->key);
        for (size_t k = 0; counts && k < POD_IPS_MAX && p->ips[k]; k++)
            add_address(&b->by_address, p->ips[k], p);
    }
}

/* A pod of several slices has the ports of all of them. */
static void add_ports(struct builder *b, struct endpoint *e, const uint16_t *more)
{
    const uint16_t *both = container_ports_merge(&b->ports, e->ports, more);

    if (!both) {
        b->service->endpoints_left_out++;
        return;
    }
    container_ports_unref(e->ports);
    e->ports = both;
}

static struct endpoint *endpoint_from_slice(const struct slice_endpoint *from,
                                            const uint16_t *ports)
{
    struct endpoint *e = xcalloc(1, sizeof(*e));

    *e = (struct endpoint){
        .refs = 1,
        .ns = xstrdup(from->ns),
        .pod = xstrdup(from->pod),
        .uid = xstrdup(from->uid),
        .key = xstrdup(from->key),
        .ip = xstrdup_or_null(from->ip),
        .node = xstrdup_or_null(from->node),
        .hostname = xstrdup_or_null(from->hostname),
        .ready = from->ready && !from->terminating,
        .terminating = from->terminating,
        .ports = container_ports_ref(ports),
    };
    return e;
}

/* The same pod again: its other address family, a slice for another port, or one that is
 * about to lose it.  Whichever says more wins. */
static void merge(struct endpoint *e, const struct slice_endpoint *from)
{
    e->terminating = e->terminating || from->terminating;
    e->ready = (e->ready || from->ready) && !e->terminating;
    if (!e->hostname)
        e->hostname = xstrdup_or_null(from->hostname);
    if (from->ip && (!e->ip || (strchr(e->ip, ':') && !strchr(from->ip, ':')))) {
        free(e->ip);
        e->ip = xstrdup(from->ip);
    }
}

static void add_named(struct builder *b, const struct slice_endpoint *from,
                      const uint16_t *ports)
{
    if ((from->terminating && !from->serving) || is_missing(b, from->key))
        return;

    struct endpoint *e = map_get(&b->by_key, str_of(from->key));
    if (e) {
        merge(e, from);
        add_ports(b, e, ports);
        return;
    }
    if (b->service->endpoint_count < ENDPOINTS_MAX) {
        e = endpoint_from_slice(from, ports);
        map_set(&b->by_key, str_of(from->key), e);
        add_endpoint(b, e);
    } else {
        b->service->endpoints_left_out++;
    }
}

/* A slice written by hand names an address only.  The pod that has it serves, with the
 * slice's word for whether it is ready. */
static void add_by_address(struct builder *b, const struct slice_endpoint *from,
                           const uint16_t *ports)
{
    const struct pod *pod = map_get(&b->by_address, str_of(from->ip));

    if (!pod || pod == &ambiguous) {
        b->strangers++;
        return;
    }
    struct slice_endpoint named = *from;
    named.ns = pod->ns;
    named.pod = pod->name;
    named.uid = pod->uid;
    named.key = pod->key;
    named.node = pod->node;
    named.terminating = from->terminating || pod->terminating;
    b->service->from_pods = true;
    add_named(b, &named, ports);
}

static void add_from_slice(struct builder *b, const struct slice_endpoint *from,
                           const uint16_t *ports)
{
    bool by_address = from->address_only && !b->service->has_selector;

    b->service->by_address += by_address;
    if (by_address)
        add_by_address(b, from, ports);
    else if (from->pod)
        add_named(b, from, ports);
    else
        b->strangers++;
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
        add_from_slice(b, &slice->endpoints[i], ports);
    container_ports_unref(ports);
}

/* --- notes: why nothing can serve --- */

struct note {
    char text[NOTE_SIZE];
    size_t len;
};

PRINTF_LIKE(2, 3) static void say(struct note *n, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int wanted = vsnprintf(n->text + n->len, sizeof(n->text) - n->len, format, args);
    va_end(args);
    if (wanted > 0)
        n->len += (size_t)wanted;
    if (n->len >= sizeof(n->text))
        n->len = sizeof(n->text) - 1;
}

static bool is_over(const struct pod *p)
{
    return strcmp(p->phase, "Succeeded") == 0 || strcmp(p->phase, "Failed") == 0;
}

static void count_pods(struct service *s, const struct pod_list *pods)
{
    s->pods_seen = pods->count + pods->left_out;
    for (size_t i = 0; i < pods->count; i++)
        s->pods_over += is_over(pods->at[i]);
}

/* "web-1 Pending (ImagePullBackOff)" */
static void say_pod(struct note *n, const struct pod *p)
{
    const char *state = p->terminating               ? "terminating"
                        : is_running(p) && !p->ready ? "not ready"
                                                     : p->phase;

    say(n, "%s %s", p->name, state);
    if (p->reason)
        say(n, " (%s)", p->reason);
}

static void say_pods(struct note *n, const struct pod_list *pods, const char *selector)
{
    bool running = false;

    if (pods->count == 0) {
        say(n, "no pod matches selector %s", selector);
        return;
    }
    for (size_t i = 0; i < pods->count; i++)
        running = running || is_running(pods->at[i]);
    say(n, "%zu pod%s selector %s, none is %s: ", pods->count,
        pods->count == 1 ? " matches" : "s match", selector,
        running ? "ready" : "running");
    for (size_t i = 0; i < pods->count && i < NOTE_PODS; i++) {
        say(n, "%s", i ? ", " : "");
        say_pod(n, pods->at[i]);
    }
    if (pods->count > NOTE_PODS)
        say(n, " and %zu more", pods->count - NOTE_PODS);
}

static void write_note(struct service *s, const struct service_spec *spec,
                       const struct pod_list *pods, size_t strangers)
{
    struct note n = { .len = 0 };

    if (entry_has_ready(s))
        return;
    if (pods && spec->selector)
        say_pods(&n, pods, spec->selector);
    if (strangers)
        say(&n, "%s%zu endpoint%s no pod%s, which a port-forward cannot reach",
            n.len ? "; " : "", strangers, strangers == 1 ? " is" : "s are",
            strangers == 1 ? "" : "s");
    if (strangers && s->by_address)
        say(&n, " (an address counts when exactly one pod of the namespace has it)");
    if (n.len)
        s->pods_note = xstrdup(n.text);
}

/* --- from pods --- */

/* The ports are a reference that is taken over; NULL: it has none. */
static struct endpoint *endpoint_from_pod(const struct pod *pod, const struct service *s,
                                          const uint16_t *ports)
{
    struct endpoint *e = xcalloc(1, sizeof(*e));

    *e = (struct endpoint){
        .refs = 1,
        .ns = xstrdup(pod->ns),
        .pod = xstrdup(pod->name),
        .uid = xstrdup(pod->uid),
        .key = xstrdup(pod->key),
        .ip = xstrdup_or_null(pod->ips[0]),
        .node = xstrdup_or_null(pod->node),
        .ready = pod->ready && !pod->terminating,
        .terminating = pod->terminating,
        .ports = ports,
    };
    if (pod->hostname && pod->subdomain && strcmp(pod->subdomain, s->name) == 0)
        e->hostname = xstrdup(pod->hostname);
    return e;
}

static struct endpoint *candidate(struct builder *b, const struct service_spec *spec,
                                  const struct pod *p)
{
    if (!can_serve(p) || is_missing(b, p->key))
        return NULL;
    const uint16_t *ports = container_ports_of_pod(&b->ports, p);
    if (!ports) {
        b->service->endpoints_left_out++;
        return NULL;
    }
    struct endpoint *e = endpoint_from_pod(p, b->service, ports);
    e->ready = e->ready || (spec->not_ready_too && !e->terminating);
    return e;
}

struct service *entry_from_pods(const struct service_spec *spec,
                                const struct pod_list *pods, const struct map *missing)
{
    struct builder b;

    builder_init(&b, spec, missing);
    for (size_t i = 0; i < pods->count; i++) {
        struct endpoint *e = candidate(&b, spec, pods->at[i]);
        if (e)
            add_endpoint(&b, e);
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

/* A pod that the slices know as not ready, or do not know. */
static void add_ready_pod(struct builder *b, const struct service_spec *spec,
                          const struct pod *p)
{
    struct endpoint *e = candidate(b, spec, p);
    struct endpoint *known = e ? map_get(&b->by_key, str_of(e->key)) : NULL;

    if (!e || !e->ready || (known && known->terminating)) {
        endpoint_unref(e);
        return;
    }
    b->service->from_pods = true;
    if (known) {
        known->ready = true;
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
        add_slice(&b, slices->at[i]);
    bool behind = pods && spec->selector && !any_ready(b.service);
    for (size_t i = 0; behind && i < pods->count; i++)
        add_ready_pod(&b, spec, pods->at[i]);

    struct service *s = finish(&b);
    s->pods_seen = s->endpoint_count;
    if (pods && spec->selector)
        count_pods(s, pods);
    write_note(s, spec, pods, b.strangers);
    return s;
}

/* --- a pod by itself --- */

struct service *entry_for_pod(const struct pod *pod)
{
    struct service *s = xcalloc(1, sizeof(*s));

    *s = (struct service){
        .refs = 1,
        .kind = SERVICE_POD,
        .ns = xstrdup(pod->ns),
        .name = xstrdup(pod->name),
        .ports = xcalloc(1, sizeof(*s->ports)),
        .pods_seen = 1,
        .pods_over = is_over(pod),
    };
    if (can_serve(pod)) {
        s->endpoints = xcalloc(1, sizeof(struct endpoint *));
        s->endpoints[s->endpoint_count++] = endpoint_from_pod(pod, s, NULL);
    }
    if (!entry_has_ready(s)) {
        struct note n = { .len = 0 };
        say(&n, "pod ");
        say_pod(&n, pod);
        s->pods_note = xstrdup(n.text);
    }
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
