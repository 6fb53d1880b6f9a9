/* addresses/opened.c - addresses whose ports are listened on */
#include "addresses/opened.h"

#include "base/log.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "serve/policy.h"

LOG_MODULE(addresses);

#define RETRY_MS 1000 /* ports that could not be opened are tried again after this */
#define SWEEPS 6      /* looks for unused addresses, within address-idle */
#define SWEEP_MIN_MS 20
#define SWEEP_MAX_MS 10000
#define PROBLEM_MS 600000 /* a problem that was not met for so long is forgotten */

struct opened {
    struct addresses *all;
    struct address_entry *entry;
    struct list_node used;
    char *name; /* declared_name */
    uint64_t used_at, tried_at;
    uint64_t connected_at; /* at a socket that is shared with other addresses */
    struct open_ports ports;
    struct service *service; /* a reference: what the ports were declared by */
    struct lookup lookup;    /* reports changes while the catalog watches the service */
    struct task on_change;
};

static struct opened *opened_last(const struct addresses *a)
{
    return list_last(&a->opened, struct opened, used);
}

/* ---- following the service ---- */

static void declare(struct opened *o, const struct service *s)
{
    struct name name;
    struct declared declared;
    struct service *before = o->service;

    name_parse(str_of(o->name), str_of(o->all->config->cluster_domain), &name);
    declared_ports(&name, s, &declared);
    o->service = service_ref(s);
    service_unref(before);
    o->tried_at = o->all->sched->now;
    open_ports_follow(o->all, &o->ports, o->entry->address, o->name, &declared);
}

/* Subscribes to changes where that costs the API server nothing. */
static void follow(struct opened *o)
{
    const struct addresses *a = o->all;
    struct cluster *cluster = NULL;
    struct address_key key;
    struct diag why;

    if (!a->parts.clusters || !addresses_key(a, o->entry, &key) || str_empty(key.service))
        return;
    if (clusters_find(a->parts.clusters, key.cluster, &cluster, &why))
        return;
    if (catalog_rights(cluster->catalog) == RIGHTS_WATCH)
        catalog_lookup(cluster->catalog, key.ns, key.service, UINT64_MAX, &o->lookup,
                       &o->on_change);
    cluster_unref(cluster);
}

static void opened_on_change(struct task *t)
{
    struct opened *o = container_of(t, struct opened, on_change);

    follow(o);
    if (o->lookup.result == ERR_NOT_FOUND) {
        log_debug(NO_ID, "the service is gone", LOG_S("name", o->name));
        opened_close(o->entry);
    } else if (o->lookup.result == OK && o->lookup.service != o->service) {
        declare(o, o->lookup.service);
    }
}

/* ---- opening and closing ---- */

static struct opened *opened_create(struct addresses *a, struct address_entry *e)
{
    struct opened *o = xcalloc(1, sizeof(*o));
    struct address_key key = { .ns = address_entry_key(e).ns };

    addresses_key(a, e, &key);
    o->all = a;
    o->entry = e;
    o->name = declared_name(&key);
    task_init(&o->on_change, a->sched, RANK_WORK, opened_on_change);
    list_append(&a->opened, &o->used);
    e->opened = o;
    return o;
}

static uint64_t sweep_ms(const struct addresses *a)
{
    uint64_t ms = a->config->address_idle_ms / SWEEPS;

    return ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : ms;
}

static void note_use(struct opened *o, uint64_t when)
{
    struct addresses *a = o->all;

    o->used_at = when;
    if (opened_last(a) != o) {
        list_remove(&o->used);
        list_append(&a->opened, &o->used);
    }
}

static bool is_due(const struct opened *o)
{
    return !open_ports_all_open(&o->ports) &&
           o->all->sched->now - o->tried_at >= RETRY_MS;
}

enum err opened_open(struct addresses *a, struct address_entry *entry,
                     const struct service *service, struct diag *why)
{
    struct opened *o = entry->opened;
    bool fresh = !o;

    if (!a->listeners)
        return diag_set(why, ERR_CANCELLED, "kube-tunnel is stopping");
    if (fresh)
        o = opened_create(a, entry);
    note_use(o, a->sched->now);
    if (!a->sweep.at)
        timer_set(&a->sweep, sweep_ms(a));
    if (o->service != service || is_due(o))
        declare(o, service);
    if (fresh)
        follow(o);
    enum err e = o->ports.refusal;
    if (e)
        diag_set(why, e, "%s", o->ports.why.text);
    /* nothing is remembered: there may be any number of such names */
    if (e == ERR_LIMIT && !open_ports_sockets(&o->ports))
        opened_close(entry);
    return e;
}

void opened_close(struct address_entry *e)
{
    struct opened *o = e->opened;

    if (!o)
        return;
    open_ports_close(o->all, &o->ports);
    e->opened = NULL;
    lookup_finish(&o->lookup);
    task_cancel(&o->on_change);
    service_unref(o->service);
    list_remove(&o->used);
    free(o->name);
    free(o);
}

size_t opened_release(struct address_entry *e, uint16_t port)
{
    struct opened *o = e->opened;

    if (!o)
        return 0;
    o->tried_at = 0; /* the next look-up sees whose server has the port */
    return open_ports_close_one(o->all, &o->ports, port);
}

void opened_close_all(struct addresses *a)
{
    list_for_each (o, &a->opened, struct opened, used)
        opened_close(o->entry);
    timer_stop(&a->sweep);
}

void opened_check(struct addresses *a)
{
    list_for_each (o, &a->opened, struct opened, used)
        if (!policy_opens(a->config, address_entry_key(o->entry).ns))
            opened_close(o->entry);
    if (!list_empty(&a->opened))
        timer_set(&a->sweep, sweep_ms(a));
}

/* ---- time ---- */

static bool is_unused(struct opened *o)
{
    uint64_t now = o->all->sched->now, used = open_ports_used_at(&o->ports, now);
    uint64_t idle = o->all->config->address_idle_ms;

    if (o->connected_at > used)
        used = o->connected_at;
    if (used > o->used_at)
        note_use(o, used);
    return idle && !o->entry->pins && now - o->used_at >= idle;
}

static void close_unused(struct addresses *a, const struct open_ports *but)
{
    list_for_each (o, &a->opened, struct opened, used)
        if (&o->ports != but && is_unused(o))
            opened_close(o->entry);
}

static void on_sweep(struct timer *t)
{
    struct addresses *a = container_of(t, struct addresses, sweep);

    problems_expire(&a->problems,
                    a->sched->now > PROBLEM_MS ? a->sched->now - PROBLEM_MS : 0);
    close_unused(a, NULL);
    list_for_each (o, &a->opened, struct opened, used)
        if (!lookup_is_attached(&o->lookup))
            follow(o);
    if (!list_empty(&a->opened))
        timer_set(&a->sweep, sweep_ms(a));
}

void opened_init(struct addresses *a)
{
    list_init(&a->opened);
    list_init(&a->shared);
    a->close_unused = close_unused;
    timer_init(&a->sweep, a->sched, on_sweep);
}

struct exposed *opened_connect(struct address_entry *e, uint16_t port)
{
    struct opened *o = e->opened;
    struct exposed *exposed = o ? open_ports_find(&o->ports, port) : NULL;

    if (exposed)
        o->connected_at = o->all->sched->now;
    return exposed;
}

bool opened_status(const struct address_entry *e, struct opened_status *ret)
{
    const struct opened *o = e->opened;

    if (!o)
        return false;
    *ret = (struct opened_status){ .name = o->name,
                                   .address = e->address,
                                   .ports = &o->ports,
                                   .idle_ms = o->all->sched->now - o->used_at,
                                   .pinned = o->entry->pins > 0 };
    return true;
}
