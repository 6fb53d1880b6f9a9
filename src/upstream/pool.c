#include "upstream/pool.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/connectors.h"
#include "upstream/lifetime.h"

LOG_MODULE(upstream);

#define FREE_LIST_MAX 64 /* structs kept for the next pool_put */
#define PLACES_MAX 4096  /* with more, those that hold no connection are forgotten */
#define WITNESSES 2      /* kept though no request may use them: their end shows it */

struct place; /* where the connections to one port of one pod lie */

struct idle {
    struct list_node in_place; /* or in the pool's free list */
    struct place *place;
    struct stream *stream;
    struct log_id via;
    uint64_t pair;             /* 0: of no client */
    struct list_node in_pairs; /* of the pool, when it is paired */
    uint64_t since;            /* its last answer */
    bool counted;              /* for lifetime_on_alive */
    struct task watch; /* wake of the stream: whatever happens to it here ends it */
    struct timer expiry;
};

struct place {
    struct pool *pool;
    struct list_node idle; /* the one used last comes first */
    size_t count;
    bool several; /* more than one at once was needed: a further tunnel pays */
    struct lifetime lifetime;
    char key[];
};

struct pool {
    struct sched *sched;
    struct connectors *connectors;
    uint64_t idle_ms;
    uint16_t cluster;
    struct map places;
    struct list_node free_list, pairs;
    size_t free_count, count;
};

static struct metric metric_idle = {
    .name = "kube_tunnel_idle_connections",
    .help = "Idle connections to pods, kept for the next request.",
    .type = METRIC_GAUGE,
};

struct str pool_key(const struct endpoint *e, uint16_t port, char room[POOL_KEY_ROOM])
{
    char digits[] = { ':', '0', '0', '0', '0', '0' };

    for (size_t i = sizeof(digits); port; port /= 10)
        digits[--i] = (char)('0' + port % 10);
    size_t len = str_append(room, POOL_KEY_ROOM, 0, str_of(e->key));
    len = str_append(room, POOL_KEY_ROOM, len, (struct str){ digits, sizeof(digits) });
    return (struct str){ room, len };
}

/* Take a connection off its place; the stream is the caller's, the struct goes to the free list. */
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
    place->count -= !i->pair;
    p->count--;
    metric_add_for(&metric_idle, p->cluster, 0, -1);
    if (p->free_count < FREE_LIST_MAX) {
        list_append(&p->free_list, &i->in_place);
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
    return i->place->pool->sched->now - i->since;
}

static void note_end(struct place *place, uint64_t ms, uint64_t seen_ms)
{
    struct lifetime *l = &place->lifetime;
    uint64_t before = l->ended_ms;

    lifetime_on_failure(l, ms, seen_ms, place->pool->sched->now);
    if (l->ended_ms != before)
        log_debug(CLUSTER_ID(place->pool->cluster), "the pod ends idle connections",
                  LOG_S("place", place->key), LOG_U("seen_after_ms", l->ended_ms));
}

/* False if the tunnel under it or the pod itself has ended. */
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
        note_end(i->place, idle_ms(i), idle_ms(i));
    drop(i);
}

static void note_alive(struct idle *i)
{
    struct place *place = i->place;
    lifetime_on_alive(&place->lifetime, idle_ms(i), place->pool->sched->now, &i->counted);
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
        list_init(&i->in_place);
        list_init(&i->in_pairs);
        task_init(&i->watch, p->sched, RANK_WORK, on_event);
        timer_init(&i->expiry, p->sched, on_expiry);
        return i;
    }
    struct idle *i = list_first(&p->free_list, struct idle, in_place);
    list_remove(&i->in_place);
    p->free_count--;
    return i;
}

static void trim_places(struct pool *p);

static struct place *place_get(struct pool *p, struct str key)
{
    struct place *place = map_get(&p->places, key);
    if (place)
        return place;
    if (p->places.count >= PLACES_MAX)
        trim_places(p);
    place = xcalloc(1, sizeof(*place) + key.len + 1);
    place->pool = p;
    list_init(&place->idle);
    memcpy(place->key, key.at, key.len);
    map_set(&p->places, key, place);
    return place;
}

void pool_put(struct pool *p, const struct lease *lease, struct stream *s,
              uint64_t was_idle_ms)
{
    uint32_t keep_ms = lease->keep_ms;
    char room[POOL_KEY_ROOM];
    struct place *place = place_get(p, pool_key(lease->endpoint, lease->port, room));
    uint64_t limit = keep_ms && keep_ms < p->idle_ms ? keep_ms : p->idle_ms;

    lifetime_on_answer(&place->lifetime, was_idle_ms);
    if (!lease->pair && place->count >= WITNESSES &&
        !lifetime_trusts(&place->lifetime, 0, true)) {
        stream_close(s);
        return;
    }
    struct idle *i = idle_get(p);
    i->place = place;
    i->stream = s;
    i->via = lease->via;
    i->pair = lease->pair;
    if (i->pair)
        list_append(&p->pairs, &i->in_pairs);
    i->since = p->sched->now;
    i->counted = false;
    list_prepend(&place->idle, &i->in_place);
    place->count += !i->pair;
    place->several |= place->count > 1;
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

/* Of those that any client may use; NULL: there is none. */
static struct idle *oldest(const struct place *place)
{
    const struct list_node *at = place->idle.prev;

    while (at != &place->idle && container_of(at, struct idle, in_place)->pair)
        at = at->prev;
    return at != &place->idle ? container_of(at, struct idle, in_place) : NULL;
}

/* No request may use `i`, nor an older connection: a fresh one is opened.  Of those that are
 * kept as witnesses one is closed for it: `i`, or the oldest once its age has been counted.
 * Where no more than one connection at a time was needed, an idle one is closed rather than
 * have a second tunnel dialled. */
static void make_room(struct place *place, struct idle *i, const struct endpoint *e,
                      uint16_t port)
{
    if (place->count > WITNESSES)
        drop(oldest(place)->counted ? oldest(place) : i);
    else if ((place->count > 1 || !place->several) &&
             !connectors_have_room(place->pool->connectors, e, port))
        drop(i);
}

bool pool_take(struct pool *p, const struct endpoint *e, uint16_t port,
               struct pool_want want, struct pooled *ret)
{
    char room[POOL_KEY_ROOM];
    struct place *place = map_get(&p->places, pool_key(e, port, room));

    if (!place || place->count == 0)
        return false;
    note_alive(oldest(place));
    list_for_each (i, &place->idle, struct idle, in_place) {
        if (i->pair || !usable(i->stream, want.alone))
            continue; /* it has ended, and its task closes it; or its tunnel is used */
        *ret = (struct pooled){ i->stream, i->via, idle_ms(i) };
        if (lifetime_trusts(&place->lifetime, ret->idle_ms, want.repeatable)) {
            release(i);
            return true;
        }
        make_room(place, i, e, port);
        return false;
    }
    return false;
}

bool pool_trusts(const struct pool *p, const struct endpoint *e, uint16_t port,
                 bool repeatable)
{
    static const struct lifetime unknown;
    char room[POOL_KEY_ROOM];
    const struct place *place = map_get(&p->places, pool_key(e, port, room));

    return lifetime_trusts(place ? &place->lifetime : &unknown, 0, repeatable);
}

void pool_on_failure(struct pool *p, const struct endpoint *e, uint16_t port,
                     uint64_t idle_ms, uint64_t seen_ms)
{
    char room[POOL_KEY_ROOM];
    note_end(place_get(p, pool_key(e, port, room)), idle_ms, seen_ms);
}

bool pool_has(const struct pool *p, const struct endpoint *e, uint16_t port,
              bool repeatable)
{
    char room[POOL_KEY_ROOM];
    struct place *place = map_get(&p->places, pool_key(e, port, room));

    if (!place)
        return false;
    list_for_each (i, &place->idle, struct idle, in_place)
        if (!i->pair && usable(i->stream, false))
            return lifetime_trusts(&place->lifetime, idle_ms(i), repeatable);
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

bool pool_take_paired(struct pool *p, const struct endpoint *e, uint16_t port,
                      uint64_t pair, struct pooled *ret)
{
    struct idle *i = find_paired(p, e, port, pair);

    if (!i)
        return false;
    *ret = (struct pooled){ i->stream, i->via, idle_ms(i) };
    release(i);
    return true;
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

/* Of those that have a descriptor of their own: the one that was used least recently. */
static struct idle *oldest_direct(const struct pool *p)
{
    struct idle *found = NULL;
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->places, &at));)
        list_for_each (i, &((struct place *)e->value)->idle, struct idle, in_place)
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

/* Places without a connection keep their lifetime, unless there are too many of them. */
static void trim_places(struct pool *p)
{
    bool many = p->places.count >= PLACES_MAX;
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->places, &at));) {
        struct place *place = e->value;
        if (list_empty(&place->idle) && (many || lifetime_is_blank(&place->lifetime)))
            remove_place(place);
    }
}

void pool_trim(struct pool *p)
{
    while (!list_empty(&p->free_list)) {
        struct idle *i = list_first(&p->free_list, struct idle, in_place);
        list_remove(&i->in_place);
        free(i);
    }
    p->free_count = 0;
    trim_places(p);
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
    map_init(&p->places);
    list_init(&p->free_list);
    list_init(&p->pairs);
    return p;
}

void pool_destroy(struct pool *p)
{
    size_t at = 0;

    if (!p)
        return;
    for (struct map_entry *e; (e = map_next(&p->places, &at));)
        remove_place(e->value);
    pool_trim(p);
    map_finish(&p->places);
    free(p);
}
