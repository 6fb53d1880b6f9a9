#include "upstream/pool.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/connectors.h"
#include "upstream/lifetime.h"

LOG_MODULE(upstream);

#define FREE_LIST_MAX 64   /* structs kept for the next pool_put */
#define POD_PORTS_MAX 4096 /* with more, those without a connection are freed */
/* So many idle connections are kept although no request may use them: when the pod closes
 * them shows for how long it keeps idle connections. */
#define OBSERVED 2

struct pod_port; /* the idle connections to one port of one pod */

struct idle {
    struct list_node in_pod_port; /* or in the pool's free list */
    struct pod_port *pod_port;
    struct stream *stream;
    struct log_id via;
    uint64_t pair;             /* see lease.pair; 0: not paired */
    struct list_node in_pairs; /* in the pool's list `pairs`, when it is paired */
    uint64_t since;            /* sched ms: its last response */
    bool counted;              /* for lifetime_on_alive */
    struct task watch;         /* the stream's wake: received bytes or an end close it */
    struct timer expiry;
};

struct pod_port {
    struct pool *pool;
    struct list_node idle; /* struct idle, the one used last comes first */
    size_t count;          /* without the paired ones */
    bool several;          /* more than one was idle at the same time */
    struct lifetime lifetime;
    char key[];
};

struct pool {
    struct sched *sched;
    struct connectors *connectors;
    uint64_t idle_ms;
    uint16_t cluster;
    struct map pod_ports;
    struct list_node free_list, pairs;
    size_t free_count, count;
};

static struct metric metric_idle = {
    .name = "kube_tunnel_idle_connections",
    .help = "Idle connections to pods, kept for the next request.",
    .type = METRIC_GAUGE,
};

/* Take a connection out of the pool; the caller owns the stream, the struct goes to the free
 * list. */
static struct stream *release(struct idle *i)
{
    struct pod_port *pod_port = i->pod_port;
    struct pool *p = pod_port->pool;
    struct stream *s = i->stream;

    s->wake = NULL;
    task_cancel(&i->watch);
    timer_stop(&i->expiry);
    list_remove(&i->in_pod_port);
    list_remove(&i->in_pairs);
    pod_port->count -= !i->pair;
    p->count--;
    metric_add_for(&metric_idle, p->cluster, 0, -1);
    if (p->free_count < FREE_LIST_MAX) {
        list_append(&p->free_list, &i->in_pod_port);
        p->free_count++;
    } else {
        free(i);
    }
    return s;
}

static void drop(struct idle *i)
{
    stream_close(release(i));
}

static uint64_t idle_ms(const struct idle *i)
{
    return i->pod_port->pool->sched->now - i->since;
}

static void note_end(struct pod_port *pod_port, uint64_t ms, uint64_t seen_ms)
{
    struct lifetime *l = &pod_port->lifetime;
    uint64_t before = l->ended_ms;

    lifetime_on_failure(l, ms, seen_ms, pod_port->pool->sched->now);
    if (l->ended_ms != before)
        log_debug(CLUSTER_ID(pod_port->pool->cluster), "the pod ends idle connections",
                  LOG_S("pod_port", pod_port->key), LOG_U("seen_after_ms", l->ended_ms));
}

/* Did the container end the connection?  False: its tunnel was lost, or its pod is gone. */
static bool ended_by_pod(const struct stream *s)
{
    enum verdict verdict = s->end.verdict;

    return verdict == V_CLEAN || verdict == V_RESET || !bufq_empty(&s->in);
}

static void on_event(struct task *task)
{
    struct idle *i = container_of(task, struct idle, watch);
    const struct stream *s = i->stream;

    if (s->end.verdict == V_OPEN && !s->broken && bufq_empty(&s->in))
        return;
    if (ended_by_pod(s))
        note_end(i->pod_port, idle_ms(i), idle_ms(i));
    drop(i);
}

static void note_alive(struct idle *i)
{
    struct pod_port *pod_port = i->pod_port;
    lifetime_on_alive(&pod_port->lifetime, idle_ms(i), pod_port->pool->sched->now,
                      &i->counted);
}

static void on_expiry(struct timer *timer)
{
    struct idle *i = container_of(timer, struct idle, expiry);
    note_alive(i);
    drop(i);
}

static struct idle *idle_get(struct pool *p)
{
    if (list_empty(&p->free_list)) {
        struct idle *i = xcalloc(1, sizeof(*i));
        list_init(&i->in_pod_port);
        list_init(&i->in_pairs);
        task_init(&i->watch, p->sched, RANK_WORK, on_event);
        timer_init(&i->expiry, p->sched, on_expiry);
        return i;
    }
    struct idle *i = list_first(&p->free_list, struct idle, in_pod_port);
    list_remove(&i->in_pod_port);
    p->free_count--;
    return i;
}

static void trim_pod_ports(struct pool *p);

static struct pod_port *pod_port_get(struct pool *p, struct str key)
{
    struct pod_port *pod_port = map_get(&p->pod_ports, key);
    if (pod_port)
        return pod_port;
    if (p->pod_ports.count >= POD_PORTS_MAX)
        trim_pod_ports(p);
    pod_port = xcalloc(1, sizeof(*pod_port) + key.len + 1);
    pod_port->pool = p;
    list_init(&pod_port->idle);
    memcpy(pod_port->key, key.at, key.len);
    map_set(&p->pod_ports, key, pod_port);
    return pod_port;
}

void pool_put(struct pool *p, const struct lease *lease, struct stream *s,
              uint64_t was_idle_ms)
{
    uint32_t keep_ms = lease->keep_ms;
    char room[POOL_KEY_ROOM];
    struct pod_port *pod_port =
        pod_port_get(p, pool_key(lease->endpoint, lease_use(lease), room));
    uint64_t limit = keep_ms && keep_ms < p->idle_ms ? keep_ms : p->idle_ms;

    lifetime_on_answer(&pod_port->lifetime, was_idle_ms);
    if (!lease->pair && pod_port->count >= OBSERVED &&
        !lifetime_trusts(&pod_port->lifetime, 0, true)) {
        stream_close(s);
        return;
    }
    struct idle *i = idle_get(p);
    i->pod_port = pod_port;
    i->stream = s;
    i->via = lease->via;
    i->pair = lease->pair;
    if (i->pair)
        list_append(&p->pairs, &i->in_pairs);
    i->since = p->sched->now;
    i->counted = false;
    list_prepend(&pod_port->idle, &i->in_pod_port);
    pod_port->count += !i->pair;
    pod_port->several |= pod_port->count > 1;
    timer_set(&i->expiry, limit);
    i->stream->wake = &i->watch;
    task_wake(&i->watch); /* it may have ended since its last wake-up */
    p->count++;
    metric_add_for(&metric_idle, p->cluster, 0, 1);
}

static bool usable(const struct stream *s, bool alone)
{
    return s->end.verdict == V_OPEN && !s->broken && bufq_empty(&s->in) &&
           stream_is_free(s, alone);
}

/* The oldest connection that is not paired; NULL: there is none. */
static struct idle *oldest(const struct pod_port *pod_port)
{
    const struct list_node *at = pod_port->idle.prev;

    while (at != &pod_port->idle && container_of(at, struct idle, in_pod_port)->pair)
        at = at->prev;
    return at != &pod_port->idle ? container_of(at, struct idle, in_pod_port) : NULL;
}

/* `i`, the connection used last, may have been closed by the pod, so the caller opens a new
 * one.  Close one of the idle connections in exchange if there are more than OBSERVED: the
 * oldest if its lifetime has been counted, else `i`.  Close `i` also where the new connection
 * would need a dial and no more than one connection at a time was needed so far. */
static void make_room(struct pod_port *pod_port, struct idle *i, const struct endpoint *e,
                      struct port_use use)
{
    if (pod_port->count > OBSERVED)
        drop(oldest(pod_port)->counted ? oldest(pod_port) : i);
    else if ((pod_port->count > 1 || !pod_port->several) &&
             !connectors_have_room(pod_port->pool->connectors, e, use.port))
        drop(i);
}

bool pool_take(struct pool *p, const struct endpoint *e, struct port_use use,
               struct pool_want want, struct pooled *ret)
{
    char room[POOL_KEY_ROOM];
    struct pod_port *pod_port = map_get(&p->pod_ports, pool_key(e, use, room));

    if (!pod_port || pod_port->count == 0)
        return false;
    note_alive(oldest(pod_port));
    list_for_each (i, &pod_port->idle, struct idle, in_pod_port) {
        if (i->pair || !usable(i->stream, want.alone))
            continue; /* it has ended (its task will close it), or its tunnel is in use */
        *ret = (struct pooled){ i->stream, i->via, idle_ms(i) };
        if (lifetime_trusts(&pod_port->lifetime, ret->idle_ms, want.repeatable)) {
            release(i);
            return true;
        }
        make_room(pod_port, i, e, use);
        return false;
    }
    return false;
}

bool pool_trusts(const struct pool *p, const struct endpoint *e, struct port_use use,
                 bool repeatable)
{
    static const struct lifetime unknown;
    char room[POOL_KEY_ROOM];
    const struct pod_port *pod_port = map_get(&p->pod_ports, pool_key(e, use, room));

    return lifetime_trusts(pod_port ? &pod_port->lifetime : &unknown, 0, repeatable);
}

void pool_on_failure(struct pool *p, const struct endpoint *e, struct port_use use,
                     uint64_t idle_ms, uint64_t seen_ms)
{
    char room[POOL_KEY_ROOM];
    note_end(pod_port_get(p, pool_key(e, use, room)), idle_ms, seen_ms);
}

bool pool_has(const struct pool *p, const struct endpoint *e, struct port_use use,
              bool repeatable)
{
    char room[POOL_KEY_ROOM];
    struct pod_port *pod_port = map_get(&p->pod_ports, pool_key(e, use, room));

    if (!pod_port)
        return false;
    list_for_each (i, &pod_port->idle, struct idle, in_pod_port)
        if (!i->pair && usable(i->stream, false))
            return lifetime_trusts(&pod_port->lifetime, idle_ms(i), repeatable);
    return false;
}

static struct idle *find_paired(const struct pool *p, const struct endpoint *e,
                                struct port_use use, uint64_t pair)
{
    char room[POOL_KEY_ROOM];
    struct pod_port *pod_port = map_get(&p->pod_ports, pool_key(e, use, room));

    if (!pod_port)
        return NULL;
    list_for_each (i, &pod_port->idle, struct idle, in_pod_port)
        if (i->pair == pair && usable(i->stream, false))
            return i;
    return NULL;
}

bool pool_take_paired(struct pool *p, const struct endpoint *e, struct port_use use,
                      uint64_t pair, struct pooled *ret)
{
    struct idle *i = find_paired(p, e, use, pair);

    if (!i)
        return false;
    *ret = (struct pooled){ i->stream, i->via, idle_ms(i) };
    release(i);
    return true;
}

bool pool_has_paired(const struct pool *p, const struct endpoint *e, struct port_use use,
                     uint64_t pair)
{
    return find_paired(p, e, use, pair) != NULL;
}

void pool_drop_pair(struct pool *p, uint64_t pair)
{
    list_for_each (i, &p->pairs, struct idle, in_pairs)
        if (i->pair == pair)
            drop(i);
}

/* The direct connection that was used least recently. */
static struct idle *oldest_direct(const struct pool *p)
{
    struct idle *found = NULL;
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));)
        list_for_each (i, &((struct pod_port *)e->value)->idle, struct idle, in_pod_port)
            if (via_is_direct(i->via) && (!found || i->since < found->since))
                found = i;
    return found;
}

bool pool_free_descriptor(struct pool *p)
{
    struct idle *i = p->count ? oldest_direct(p) : NULL;

    if (i)
        drop(i);
    return i != NULL;
}

static void clear_pod_port(struct pod_port *pod_port)
{
    while (!list_empty(&pod_port->idle))
        drop(list_first(&pod_port->idle, struct idle, in_pod_port));
}

void pool_clear(struct pool *p)
{
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));)
        clear_pod_port(e->value);
}

static void remove_pod_port(struct pod_port *pod_port)
{
    clear_pod_port(pod_port);
    map_remove(&pod_port->pool->pod_ports, str_of(pod_port->key));
    free(pod_port);
}

void pool_drop_pod(struct pool *p, const char *pod_key)
{
    size_t at = 0, len = strlen(pod_key);
    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));)
        if (strncmp(e->key, pod_key, len) == 0 && e->key[len] == ':')
            remove_pod_port(e->value);
}

/* Free the pod_ports without a connection: those that know no lifetime, and, if there are too
 * many, the others, too. */
static void trim_pod_ports(struct pool *p)
{
    bool many = p->pod_ports.count >= POD_PORTS_MAX;
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));) {
        struct pod_port *pod_port = e->value;
        if (list_empty(&pod_port->idle) &&
            (many || lifetime_is_blank(&pod_port->lifetime)))
            remove_pod_port(pod_port);
    }
}

void pool_trim(struct pool *p)
{
    while (!list_empty(&p->free_list)) {
        struct idle *i = list_first(&p->free_list, struct idle, in_pod_port);
        list_remove(&i->in_pod_port);
        free(i);
    }
    p->free_count = 0;
    trim_pod_ports(p);
}

struct pool *pool_create(struct sched *sched, struct connectors *connectors,
                         uint64_t idle_ms, uint16_t cluster)
{
    struct pool *p = xcalloc(1, sizeof(*p));
    metrics_register(&metric_idle);
    p->sched = sched;
    p->connectors = connectors;
    p->idle_ms = idle_ms;
    p->cluster = cluster;
    map_init(&p->pod_ports);
    list_init(&p->free_list);
    list_init(&p->pairs);
    return p;
}

void pool_set_idle(struct pool *p, uint64_t idle_ms)
{
    p->idle_ms = idle_ms;
}

void pool_destroy(struct pool *p)
{
    size_t at = 0;

    if (!p)
        return;
    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));)
        remove_pod_port(e->value);
    pool_trim(p);
    map_finish(&p->pod_ports);
    free(p);
}
