/* addresses/pin.c - keep the addresses of whole namespaces open, and report changes of them */
#include "addresses/pin.h"

#include "addresses/addresses.h"
#include "addresses/opened.h"
#include "base/map.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "serve/policy.h"

#define LOOKED_AT_MAX 250 /* services that have pinned names, in a scan */

/* A service of which names are pinned: its own, or those of its pods. */
struct pinned_service {
    struct list_node names; /* struct pinned */
    uint64_t turn;          /* which scans look at it */
    char *text;             /* its key in `services` */
};

/* A name that is pinned. */
struct pinned {
    struct list_node node; /* of all, or of those that are to be reported */
    struct list_node of_service;
    struct pinned_service *service;
    struct address_entry *at; /* pinned; NULL: not yet */
    uint64_t scan;            /* the last that has seen it */
    uint64_t shape;           /* of its ports, as they were reported */
    bool headless, gone, reported;
    char *text; /* its key in `names` */
};

struct address_pin {
    struct addresses *all;
    char *cluster;
    struct texts namespaces;
    struct task *wake;
    struct timer scan_later;
    uint64_t scans;
    uint64_t turns;
    struct map names;         /* struct pinned */
    struct map services;      /* struct pinned_service */
    struct list_node quiet;   /* those that were reported */
    struct list_node changed; /* those that are to be */
    bool complete;            /* the catalog had its first lists at the last scan */
    bool ready;               /* reported */
    size_t room;              /* sockets that the present scan may pin still */
    size_t left_out;          /* by the last scan, for lack of room */
    bool left_out_reported;
};

/* ---- names ---- */

static char *service_text(const struct address_key *key)
{
    return xasprintf("%.*s/%.*s", STR_ARG(key->ns), STR_ARG(key->service));
}

static struct pinned_service *obtain_service(struct address_pin *p,
                                             const struct address_key *key)
{
    AUTO_FREE char *text = service_text(key);
    struct pinned_service *s = map_get(&p->services, str_of(text));

    if (s)
        return s;
    s = xcalloc(1, sizeof(*s));
    list_init(&s->names);
    s->turn = p->turns++;
    map_set(&p->services, str_of(text), s);
    s->text = TAKE(text);
    return s;
}

static void leave_service(struct address_pin *p, struct pinned *n)
{
    struct pinned_service *s = n->service;

    list_remove(&n->of_service);
    if (!list_empty(&s->names))
        return;
    map_remove(&p->services, str_of(s->text));
    free(s->text);
    free(s);
}

static void pinned_destroy(struct address_pin *p, struct pinned *n)
{
    if (n->at)
        opened_unpin(n->at);
    leave_service(p, n);
    list_remove(&n->node);
    map_remove(&p->names, str_of(n->text));
    free(n->text);
    free(n);
}

static void mark_changed(struct address_pin *p, struct pinned *n)
{
    list_remove(&n->node);
    list_append(&p->changed, &n->node);
}

/* A number that differs if the open ports do. */
static uint64_t shape_of(const struct address_entry *e)
{
    struct opened_status s;
    uint64_t shape = e->address;

    if (!opened_status(e, &s))
        return shape;
    for (size_t i = 0; i < s.ports->count; i++)
        if (port_is_open(&s.ports->at[i]))
            shape = (shape ^ s.ports->at[i].declared.local) * 0x100000001b3ull;
    return shape;
}

static struct pinned *obtain(struct address_pin *p, const struct address_key *key,
                             const char *text)
{
    struct pinned *n = map_get(&p->names, str_of(text));

    if (n)
        return n;
    n = xcalloc(1, sizeof(*n));
    n->text = xstrdup(text);
    n->service = obtain_service(p, key);
    list_init(&n->of_service);
    list_append(&n->service->names, &n->of_service);
    list_init(&n->node);
    list_append(&p->changed, &n->node);
    map_set(&p->names, str_of(text), n);
    return n;
}

static size_t room_for_pins(const struct addresses *a)
{
    size_t max = addresses_sockets_max(a), used = opened_pinned_sockets(a);
    size_t most = max - max / 4;

    return used < most ? most - used : 0;
}

/* Room, or a pin that has it already. */
static bool has_room(const struct address_pin *p, const struct address_key *key)
{
    const struct address_entry *e = p->room ? NULL : addresses_find(p->all, key);

    return p->room || (e && e->pins);
}

static void take_room(struct address_pin *p, const struct address_entry *e)
{
    size_t sockets = e->pins ? 0 : opened_sockets(e);

    p->room = p->room > sockets ? p->room - sockets : 0;
}

/* The entry, whose listeners are open.  NULL: no client may be sent there. */
static struct address_entry *
open_entry(struct address_pin *p, const struct address_key *key, const struct service *s)
{
    struct address_entry *e = NULL;
    struct diag why = { "" };
    enum err failed = ERR_LIMIT;

    if (has_room(p, key))
        failed = addresses_entry(p->all, key, &e, &why);
    if (!failed)
        failed = opened_open(p->all, e, s, &why);
    p->left_out += failed == ERR_LIMIT || failed == ERR_NO_FILES;
    if (failed)
        return NULL;
    take_room(p, e);
    return e;
}

static void see(struct address_pin *p, const struct address_key *key,
                const struct service *s, bool headless)
{
    AUTO_FREE char *text = declared_name(key);
    bool full = p->names.count >= PIN_NAMES_MAX && !map_get(&p->names, str_of(text));
    struct address_entry *e = full ? NULL : open_entry(p, key, s);

    if (!e)
        return;
    struct pinned *n = obtain(p, key, text);
    n->scan = p->scans;
    n->headless = headless;
    if (n->gone || n->shape != shape_of(e))
        mark_changed(p, n);
    if (!n->at)
        e->pins++;
    n->at = e;
    n->shape = shape_of(e);
    n->gone = false;
}

static void see_service(void *owner, const struct service *s)
{
    struct address_pin *p = owner;
    struct address_key key = { .cluster = str_of(p->cluster),
                               .ns = str_of(s->ns),
                               .service = str_of(s->name) };

    if (s->kind != SERVICE_NORMAL)
        return;
    see(p, &key, s, s->headless);
    for (size_t i = 0; s->headless && i < s->endpoint_count; i++) {
        key.pod = str_of(s->endpoints[i]->hostname);
        if (!str_empty(key.pod))
            see(p, &key, s, false);
    }
}

/* ---- scans ---- */

static bool is_listed(const struct address_pin *p, const char *ns)
{
    bool listed = p->namespaces.count == 0;

    for (size_t i = 0; i < p->namespaces.count && !listed; i++)
        listed = strcmp(p->namespaces.at[i], ns) == 0;
    return listed;
}

/* A number of them, so that a scan builds a limited number of entries in the catalog. */
static bool is_its_turn(const struct address_pin *p, const struct pinned_service *s)
{
    size_t scans = p->services.count / LOOKED_AT_MAX + 1;

    return !p->ready || (s->turn + p->scans) % scans == 0;
}

/* Has a listener of it changed, other than by a look at it? */
static bool has_changed(const struct pinned_service *s)
{
    list_for_each (n, &s->names, struct pinned, of_service)
        if (!n->at->opened || n->shape != shape_of(n->at))
            return true;
    return false;
}

static bool wants_pinned(const struct address_pin *p, const struct pinned_service *s)
{
    if (is_its_turn(p, s) || has_changed(s))
        return true;
    list_for_each (n, &s->names, struct pinned, of_service)
        n->scan = p->scans;
    return false;
}

/* Without room no entry is built in the catalog for it. */
static bool wants(void *owner, const char *ns, const char *name)
{
    struct address_pin *p = owner;
    const struct address_key key = { .cluster = str_of(p->cluster),
                                     .ns = str_of(ns),
                                     .service = str_of(name) };

    if (!is_listed(p, ns) || !policy_opens(p->all->config, key.ns))
        return false;
    AUTO_FREE char *text = service_text(&key);
    const struct pinned_service *s = map_get(&p->services, str_of(text));
    if (s)
        return wants_pinned(p, s);
    if (has_room(p, &key))
        return true;
    p->left_out++;
    return false;
}

/* What the last scan has not seen, if the catalog has all services.  One that goes to the end of
 * the list is met again.  Its listeners close at once only if the service is gone for certain: it
 * may be there, and a port of it be refused.  Else they stay for address-idle, so that no other
 * user's program gets the clients that have the address still. */
static void find_gone(struct address_pin *p, struct list_node *list)
{
    list_for_each (n, list, struct pinned, node) {
        if (n->scan == p->scans || n->gone)
            continue;
        if (!n->reported) {
            pinned_destroy(p, n);
            continue;
        }
        n->gone = true;
        opened_follow(n->at);
        mark_changed(p, n);
    }
}

/* Of the state, which is reported after the names. */
static enum pin_event event_of_state(const struct address_pin *p)
{
    if (!p->complete)
        return PIN_NOTHING;
    if (p->left_out && !p->left_out_reported)
        return PIN_LEFT_OUT;
    return p->ready ? PIN_NOTHING : PIN_READY;
}

static void scan(struct address_pin *p)
{
    const struct addresses *a = p->all;
    struct cluster *cluster = NULL;
    struct api_error error;
    struct diag why;

    timer_set(&p->scan_later, PIN_SCAN_MS);
    if (clusters_find(a->parts.clusters, str_of(p->cluster), &cluster, &why))
        return;
    p->scans++;
    p->room = room_for_pins(a);
    p->left_out = 0;
    catalog_each_wanted(cluster->catalog, wants, see_service, p);
    p->complete = catalog_ready(cluster->catalog, &error);
    cluster_unref(cluster);
    if (p->complete) {
        find_gone(p, &p->quiet);
        find_gone(p, &p->changed);
    }
    if (!list_empty(&p->changed) || event_of_state(p))
        task_wake(p->wake);
}

static void on_scan(struct timer *t)
{
    scan(container_of(t, struct address_pin, scan_later));
}

/* ---- pins ---- */

enum err pin_open(struct addresses *a, struct str cluster, struct texts *namespaces,
                  struct task *wake, struct address_pin **ret, struct diag *why)
{
    struct cluster *connected = NULL;
    enum err e = clusters_find(a->parts.clusters, cluster, &connected, why);

    if (e)
        return e;
    cluster_unref(connected);
    if (a->pins >= PINS_MAX)
        return diag_set(why, ERR_LIMIT, "%d readers of names are connected", PINS_MAX);
    struct address_pin *p = xcalloc(1, sizeof(*p));
    a->pins++;
    p->all = a;
    p->cluster = str_dup(cluster);
    p->namespaces = *namespaces;
    *namespaces = (struct texts){ 0 };
    p->wake = wake;
    map_init(&p->names);
    map_init(&p->services);
    list_init(&p->quiet);
    list_init(&p->changed);
    timer_init(&p->scan_later, a->sched, on_scan);
    scan(p);
    *ret = p;
    return OK;
}

void pin_close(struct address_pin *p)
{
    if (!p)
        return;
    timer_stop(&p->scan_later);
    list_for_each (n, &p->quiet, struct pinned, node)
        pinned_destroy(p, n);
    list_for_each (n, &p->changed, struct pinned, node)
        pinned_destroy(p, n);
    map_finish(&p->names);
    map_finish(&p->services);
    texts_finish(&p->namespaces);
    free(p->cluster);
    p->all->pins--;
    free(p);
}

static void describe(const struct address_pin *p, const struct pinned *n,
                     struct pin_change *ret)
{
    struct opened_status s;

    addresses_key(p->all, n->at, &ret->key);
    ret->address = n->at->address;
    ret->headless = n->headless;
    if (!opened_status(n->at, &s))
        return;
    for (size_t i = 0; i < s.ports->count && ret->port_count < DECLARED_MAX; i++)
        if (port_is_open(&s.ports->at[i]))
            ret->ports[ret->port_count++] = s.ports->at[i].declared.local;
}

void pin_next(struct address_pin *p, struct pin_change *ret)
{
    *ret = (struct pin_change){ .event = PIN_NOTHING };
    if (list_empty(&p->changed)) {
        ret->event = event_of_state(p);
        ret->left_out = p->left_out;
        p->left_out_reported |= ret->event == PIN_LEFT_OUT;
        p->ready |= ret->event == PIN_READY;
        return;
    }
    struct pinned *n = list_first(&p->changed, struct pinned, node);
    describe(p, n, ret);
    ret->event = n->gone ? PIN_GONE : PIN_NAME;
    n->reported = true;
    if (n->gone) {
        pinned_destroy(p, n);
    } else {
        list_remove(&n->node);
        list_append(&p->quiet, &n->node);
    }
}
