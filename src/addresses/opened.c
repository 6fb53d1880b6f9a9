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

/* Of an address that clients use: its subscription to changes of the service. */
struct following {
    struct opened *opened;
    struct lookup lookup; /* reports changes while the catalog watches the service */
    struct task on_change;
};

/* Small: most of the addresses that are looked up are never connected to. */
struct opened {
    struct addresses *all;
    struct address_entry *entry;
    struct list_node used;
    char *name; /* declared_name */
    uint64_t used_at, tried_at;
    uint64_t connected_at; /* the last client; 0: none has come */
    struct open_ports ports;
    struct service *endpoints;   /* of an endpoint: what it was found in, a reference */
    struct following *following; /* NULL: no client has come */
};

static struct opened *opened_last(const struct addresses *a)
{
    return list_last(&a->opened, struct opened, used);
}

/* ---- the ports of the service ---- */

static bool is_endpoint(const struct opened *o)
{
    const struct key_parts key = address_entry_key(o->entry);

    return !str_empty(key.pod) && !str_empty(key.service);
}

static void find_ports(const struct opened *o, const struct service *s,
                       struct declared *ret)
{
    struct name name;

    if (!is_endpoint(o)) {
        declared_ports(NULL, s, ret);
        return;
    }
    name_parse(str_of(o->name), str_of(o->all->config->cluster_domain), &name);
    declared_ports(&name, s, ret);
}

static bool is_due(const struct opened *o)
{
    return !open_ports_all_open(&o->ports) &&
           o->all->sched->now - o->tried_at >= RETRY_MS;
}

static void remember_endpoints(struct opened *o, const struct service *s)
{
    struct service *before = o->endpoints;

    o->endpoints = is_endpoint(o) ? service_ref(s) : NULL;
    service_unref(before);
}

/* Opens the ports that the service declares. */
static void declare(struct opened *o, const struct service *s)
{
    struct declared declared;

    if (o->endpoints == s && !is_due(o))
        return;
    find_ports(o, s, &declared);
    remember_endpoints(o, s);
    if (o->tried_at && open_ports_match(&o->ports, &declared) && !is_due(o))
        return;
    o->tried_at = o->all->sched->now;
    open_ports_follow(o->all, &o->ports, o->entry->address, o->name, &declared);
}

/* ---- following the service ---- */

/* Subscribes to changes where that costs the API server nothing. */
static void follow(struct following *f)
{
    const struct addresses *a = f->opened->all;
    struct cluster *cluster = NULL;
    struct address_key key;
    struct diag why;

    if (!a->parts.clusters || !addresses_key(a, f->opened->entry, &key) ||
        str_empty(key.service))
        return;
    if (clusters_find(a->parts.clusters, key.cluster, &cluster, &why))
        return;
    if (catalog_rights(cluster->catalog) == RIGHTS_WATCH)
        catalog_lookup(cluster->catalog, key.ns, key.service, UINT64_MAX, &f->lookup,
                       &f->on_change);
    cluster_unref(cluster);
}

static void opened_on_change(struct task *t)
{
    struct following *f = container_of(t, struct following, on_change);
    struct opened *o = f->opened;

    follow(f);
    if (f->lookup.result == ERR_NOT_FOUND) {
        log_debug(NO_ID, "the service is gone", LOG_S("name", o->name));
        opened_close(o->entry);
    } else if (f->lookup.result == OK) {
        declare(o, f->lookup.service);
    }
}

static void begin_following(struct opened *o)
{
    struct following *f = xcalloc(1, sizeof(*f));

    f->opened = o;
    task_init(&f->on_change, o->all->sched, RANK_WORK, opened_on_change);
    o->following = f;
    follow(f);
}

static void end_following(struct following *f)
{
    if (!f)
        return;
    lookup_finish(&f->lookup);
    task_cancel(&f->on_change);
    free(f);
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

enum err opened_open(struct addresses *a, struct address_entry *entry,
                     const struct service *service, struct diag *why)
{
    struct opened *o = entry->opened;

    if (!a->listeners)
        return diag_set(why, ERR_CANCELLED, "kube-tunnel is stopping");
    if (!o)
        o = opened_create(a, entry);
    note_use(o, a->sched->now);
    if (!a->sweep.at)
        timer_set(&a->sweep, sweep_ms(a));
    declare(o, service);
    enum err e = o->ports.refusal;
    if (e)
        diag_set(why, e, "%s", o->ports.why->text);
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
    end_following(o->following);
    service_unref(o->endpoints);
    list_remove(&o->used);
    free(o->name);
    free(o);
}

void opened_follow(struct address_entry *e)
{
    struct opened *o = e->opened;

    if (o && !o->following)
        begin_following(o);
    if (o && o->following->lookup.result == ERR_NOT_FOUND)
        opened_close(e);
}

void opened_unpin(struct address_entry *e)
{
    e->pins--;
    if (e->opened)
        note_use(e->opened, e->opened->all->sched->now);
}

size_t opened_sockets(const struct address_entry *e)
{
    return e->opened ? open_ports_own_sockets(&e->opened->ports) : 0;
}

size_t opened_pinned_sockets(const struct addresses *a)
{
    size_t count = 0;

    list_for_each (o, &a->opened, struct opened, used)
        count += o->entry->pins ? opened_sockets(o->entry) : 0;
    return count;
}

size_t opened_release(struct address_entry *e, uint16_t port)
{
    struct opened *o = e->opened;

    if (!o)
        return 0;
    o->tried_at = 0; /* the next look-up finds out again which user has the port */
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

static bool may_close(const struct opened *o)
{
    return o->all->config->address_idle_ms && !o->entry->pins;
}

static bool seems_unused(struct opened *o)
{
    uint64_t now = o->all->sched->now;

    if (open_ports_connected(&o->ports))
        o->connected_at = now;
    if (o->connected_at > o->used_at)
        note_use(o, o->connected_at);
    return may_close(o) && now - o->used_at >= o->all->config->address_idle_ms;
}

/* A client that waits to be accepted is a use. */
static bool is_unused(struct opened *o)
{
    if (!seems_unused(o))
        return false;
    open_ports_accept_waiting(&o->ports);
    return seems_unused(o);
}

static bool has_no_client(const struct opened *o)
{
    return may_close(o) && !o->connected_at &&
           o->all->sched->now - o->used_at >= o->all->parts.promised_ms;
}

/* No client has connected, and the client of the last look-up had time to. */
static bool gives_way(struct opened *o)
{
    if (!has_no_client(o))
        return false;
    open_ports_accept_waiting(&o->ports);
    return has_no_client(o);
}

static bool was_just_used(const struct opened *o)
{
    uint64_t age = o->all->sched->now - o->used_at;

    return age < o->all->parts.promised_ms && age < o->all->config->address_idle_ms;
}

/* How many sockets of those that may close for another, of which no more than `enough` are needed.
 * The list is sorted by use: all after one that was just used were used later, or have clients.
 * An address of which all sockets are shared frees none, so it stays. */
static size_t free_sockets(struct addresses *a, const struct open_ports *but,
                           size_t enough, bool close)
{
    size_t freed = 0;

    list_for_each (o, &a->opened, struct opened, used) {
        size_t sockets = open_ports_own_sockets(&o->ports);
        if (freed >= enough || was_just_used(o))
            break;
        if (&o->ports == but || !sockets || !(is_unused(o) || gives_way(o)))
            continue;
        freed += sockets;
        if (close)
            opened_close(o->entry);
    }
    return freed;
}

/* Nothing closes if that is not enough. */
static void make_room(struct addresses *a, const struct open_ports *but, size_t sockets)
{
    size_t enough = a->sockets > sockets ? a->sockets - sockets : 0;

    if (free_sockets(a, but, enough, false) >= enough)
        (void)free_sockets(a, but, enough, true);
}

static void close_unused(struct addresses *a)
{
    list_for_each (o, &a->opened, struct opened, used)
        if (is_unused(o))
            opened_close(o->entry);
}

static void on_sweep(struct timer *t)
{
    struct addresses *a = container_of(t, struct addresses, sweep);

    problems_expire(&a->problems,
                    a->sched->now > PROBLEM_MS ? a->sched->now - PROBLEM_MS : 0);
    close_unused(a);
    list_for_each (o, &a->opened, struct opened, used)
        if (o->following && !lookup_is_attached(&o->following->lookup))
            follow(o->following);
    if (!list_empty(&a->opened))
        timer_set(&a->sweep, sweep_ms(a));
}

void opened_init(struct addresses *a)
{
    list_init(&a->opened);
    list_init(&a->shared);
    a->make_room = make_room;
    timer_init(&a->sweep, a->sched, on_sweep);
}

struct exposed *opened_connect(struct address_entry *e, uint16_t port)
{
    struct opened *o = e->opened;
    struct exposed *exposed =
        o ? open_ports_find(o->all, &o->ports, e->address, o->name, port) : NULL;

    if (!exposed)
        return NULL;
    o->connected_at = o->all->sched->now;
    if (!o->following)
        begin_following(o);
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
