#include "upstream/pool.h"

#include <stdio.h>

#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/tunnels.h"

#define SPARES_MAX 64 /* structs kept for the next pool_put */

struct place; /* where the connections to one port of one pod lie */

struct idle {
    struct list_node in_place; /* or in the pool's spares */
    struct place *place;
    struct stream *stream;
    struct log_id tunnel;
    uint64_t pair;             /* 0: anybody's */
    struct list_node in_pairs; /* of the pool, when it is paired */
    uint64_t since;
    struct task watch; /* wake of the stream: whatever happens to it here ends it */
    struct timer expiry;
};

struct place {
    struct pool *pool;
    struct list_node idle; /* the one used last comes first */
    char key[];
};

struct pool {
    struct sched *sched;
    uint64_t idle_ms;
    struct map places;
    struct list_node spares, pairs;
    size_t spare_count, count;
};

static struct metric metric_idle = {
    .name = "kube_tunnel_idle_connections",
    .help = "Connections to pods that are kept for the next request.",
    .type = METRIC_GAUGE,
};

struct str pool_key(const struct endpoint *e, uint16_t port, char room[POOL_KEY_ROOM])
{
    int n = snprintf(room, POOL_KEY_ROOM, "%s:%u", e->key, port);
    size_t len = n < POOL_KEY_ROOM ? (size_t)n : POOL_KEY_ROOM - 1;
    return (struct str){ room, len };
}

/* Take a connection off its place; the stream is the caller's, the struct is spare. */
static struct stream *release(struct idle *i)
{
    struct place *place = i->place;
    struct pool *p = place->pool;
    struct stream *s = i->stream;

    s->wake = NULL;
    task_cancel(&i->watch);
    timer_stop(&i->expiry);
    list_remove(&i->in_place);
    list_remove(&i->in_pairs);
    metric_set(&metric_idle, 0, (int64_t)--p->count);
    if (p->spare_count < SPARES_MAX) {
        list_append(&p->spares, &i->in_place);
        p->spare_count++;
    } else {
        free(i);
    }
    return s;
}

static void drop(struct idle *i)
{
    stream_close(release(i));
}

static void on_event(struct task *task)
{
    struct idle *i = container_of(task, struct idle, watch);
    if (i->stream->end.verdict != V_OPEN || i->stream->broken ||
        !bufq_empty(&i->stream->in))
        drop(i);
}

static void on_expiry(struct timer *timer)
{
    drop(container_of(timer, struct idle, expiry));
}

static struct idle *idle_get(struct pool *p)
{
    if (list_empty(&p->spares)) {
        struct idle *i = xcalloc(1, sizeof(*i));
        list_init(&i->in_place);
        list_init(&i->in_pairs);
        task_init(&i->watch, p->sched, RANK_WORK, on_event);
        timer_init(&i->expiry, p->sched, on_expiry);
        return i;
    }
    struct idle *i = list_first(&p->spares, struct idle, in_place);
    list_remove(&i->in_place);
    p->spare_count--;
    return i;
}

static struct place *place_get(struct pool *p, struct str key)
{
    struct place *place = map_get(&p->places, key);
    if (place)
        return place;
    place = xcalloc(1, sizeof(*place) + key.len + 1);
    place->pool = p;
    list_init(&place->idle);
    memcpy(place->key, key.at, key.len);
    map_set(&p->places, key, place);
    return place;
}

void pool_put(struct pool *p, const struct lease *lease, struct stream *s)
{
    uint32_t keep_ms = lease->keep_ms;
    char room[POOL_KEY_ROOM];
    struct idle *i = idle_get(p);
    uint64_t limit = keep_ms && keep_ms < p->idle_ms ? keep_ms : p->idle_ms;

    i->place = place_get(p, pool_key(lease->endpoint, lease->port, room));
    i->stream = s;
    i->tunnel = lease->tunnel;
    i->pair = lease->pair;
    if (i->pair)
        list_append(&p->pairs, &i->in_pairs);
    i->since = p->sched->now;
    list_prepend(&i->place->idle, &i->in_place);
    timer_set(&i->expiry, limit);
    s->wake = &i->watch;
    task_wake(&i->watch); /* it may have ended between its last wake-up and this one */
    metric_set(&metric_idle, 0, (int64_t)++p->count);
}

static bool usable(const struct stream *s, bool alone)
{
    return s->end.verdict == V_OPEN && !s->broken && bufq_empty(&s->in) &&
           tunnel_stream_free(s, alone);
}

struct stream *pool_take(struct pool *p, const struct endpoint *e, uint16_t port,
                         uint64_t max_idle_ms, bool alone, struct log_id *ret_tunnel)
{
    char room[POOL_KEY_ROOM];
    struct place *place = map_get(&p->places, pool_key(e, port, room));

    if (!place)
        return NULL;
    list_for_each (i, &place->idle, struct idle, in_place) {
        if (i->pair || !usable(i->stream, alone))
            continue; /* its own task is about to drop it, or its tunnel is taken */
        if (p->sched->now - i->since > max_idle_ms) {
            drop(i); /* a fresh one takes its place, and comes here in its turn */
            return NULL;
        }
        *ret_tunnel = i->tunnel;
        return release(i);
    }
    return NULL;
}

bool pool_has(const struct pool *p, const struct endpoint *e, uint16_t port,
              uint64_t max_idle_ms)
{
    char room[POOL_KEY_ROOM];
    struct place *place = map_get(&p->places, pool_key(e, port, room));

    if (!place)
        return false;
    list_for_each (i, &place->idle, struct idle, in_place)
        if (!i->pair && usable(i->stream, false))
            return p->sched->now - i->since <= max_idle_ms;
    return false;
}

static struct idle *find_paired(const struct pool *p, const struct endpoint *e,
                                uint16_t port, uint64_t pair)
{
    char room[POOL_KEY_ROOM];
    struct place *place = map_get(&p->places, pool_key(e, port, room));

    if (!place)
        return NULL;
    list_for_each (i, &place->idle, struct idle, in_place)
        if (i->pair == pair && usable(i->stream, false))
            return i;
    return NULL;
}

struct stream *pool_take_paired(struct pool *p, const struct endpoint *e, uint16_t port,
                                uint64_t pair, struct log_id *ret_tunnel)
{
    struct idle *i = find_paired(p, e, port, pair);

    if (!i)
        return NULL;
    *ret_tunnel = i->tunnel;
    return release(i);
}

bool pool_has_paired(const struct pool *p, const struct endpoint *e, uint16_t port,
                     uint64_t pair)
{
    return find_paired(p, e, port, pair) != NULL;
}

void pool_drop_pair(struct pool *p, uint64_t pair)
{
    list_for_each (i, &p->pairs, struct idle, in_pairs)
        if (i->pair == pair)
            drop(i);
}

static void clear_place(struct place *place)
{
    while (!list_empty(&place->idle))
        drop(list_first(&place->idle, struct idle, in_place));
}

void pool_clear(struct pool *p)
{
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&p->places, &at));)
        clear_place(e->value);
}

static void remove_place(struct place *place)
{
    clear_place(place);
    map_remove(&place->pool->places, str_of(place->key));
    free(place);
}

void pool_drop_pod(struct pool *p, const char *pod_key)
{
    size_t at = 0, len = strlen(pod_key);
    for (struct map_entry *e; (e = map_next(&p->places, &at));)
        if (strncmp(e->key, pod_key, len) == 0 && e->key[len] == ':')
            remove_place(e->value);
}

static void trim_places(struct pool *p)
{
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&p->places, &at));) {
        struct place *place = e->value;
        if (list_empty(&place->idle))
            remove_place(place);
    }
}

void pool_trim(struct pool *p)
{
    while (!list_empty(&p->spares)) {
        struct idle *i = list_first(&p->spares, struct idle, in_place);
        list_remove(&i->in_place);
        free(i);
    }
    p->spare_count = 0;
    trim_places(p);
}

struct pool *pool_create(struct sched *sched, uint64_t idle_ms)
{
    struct pool *p = xcalloc(1, sizeof(*p));
    metrics_register(&metric_idle);
    p->sched = sched;
    p->idle_ms = idle_ms;
    map_init(&p->places);
    list_init(&p->spares);
    list_init(&p->pairs);
    return p;
}

void pool_destroy(struct pool *p)
{
    if (!p)
        return;
    pool_clear(p);
    pool_trim(p); /* the places too, now that they are empty */
    map_finish(&p->places);
    free(p);
}
