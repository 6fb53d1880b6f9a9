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

/* A name that is pinned. */
struct pinned {
    struct list_node node;    /* of all, or of those that are to be reported */
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
    struct map names;         /* struct pinned */
    struct list_node quiet;   /* those that were reported */
    struct list_node changed; /* those that are to be */
    bool complete;            /* the catalog had its first lists at the last scan */
    bool ready;               /* reported */
};

/* ---- names ---- */

static void pinned_destroy(struct address_pin *p, struct pinned *n)
{
    if (n->at)
        n->at->pins--;
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

static struct pinned *obtain(struct address_pin *p, const char *text)
{
    struct pinned *n = map_get(&p->names, str_of(text));

    if (n || p->names.count >= PIN_NAMES_MAX)
        return n;
    n = xcalloc(1, sizeof(*n));
    n->text = xstrdup(text);
    list_init(&n->node);
    list_append(&p->changed, &n->node);
    map_set(&p->names, str_of(text), n);
    return n;
}

static bool has_room(const struct addresses *a)
{
    size_t max = a->config->max_address_listeners;

    if (a->sockets_max && a->sockets_max < max)
        max = a->sockets_max;
    return a->sockets < max - max / 4;
}

/* The entry, whose listeners are open if there is room.  NULL: no client may be sent there. */
static struct address_entry *open_entry(const struct address_pin *p,
                                        const struct address_key *key,
                                        const struct service *s)
{
    struct addresses *a = p->all;
    struct address_entry *e = NULL;
    struct diag why = { "" };

    if (addresses_entry(a, key, &e, &why))
        return NULL;
    if ((e->opened || has_room(a)) && opened_open(a, e, s, &why))
        return NULL;
    return e;
}

static void see(struct address_pin *p, const struct address_key *key,
                const struct service *s, bool headless)
{
    AUTO_FREE char *text = declared_name(key);
    struct address_entry *e = open_entry(p, key, s);
    struct pinned *n = e ? obtain(p, text) : NULL;

    if (!n)
        return;
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

static bool wants(void *owner, const char *ns, const char *name)
{
    const struct address_pin *p = owner;

    (void)name;
    for (size_t i = 0; i < p->namespaces.count; i++)
        if (strcmp(p->namespaces.at[i], ns) == 0)
            return true;
    return p->namespaces.count == 0;
}

/* What the last scan has not seen.  One that goes to the end of the list is met again. */
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
        mark_changed(p, n);
    }
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
    catalog_each_wanted(cluster->catalog, wants, see_service, p);
    p->complete = catalog_ready(cluster->catalog, &error);
    cluster_unref(cluster);
    find_gone(p, &p->quiet);
    find_gone(p, &p->changed);
    if (!list_empty(&p->changed) || (p->complete && !p->ready))
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
        if (p->complete && !p->ready)
            ret->event = PIN_READY;
        p->ready |= p->complete;
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
