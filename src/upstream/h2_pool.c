#include "upstream/h2_pool.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/pool.h"

LOG_MODULE(upstream);

#define PLACES_MAX 4096 /* with more, those without connections are forgotten */

struct place {
    struct h2_pool *pool;
    struct list_node links; /* struct link, the oldest first */
    enum speaks learnt;
    struct list_node waiting; /* struct h2_waiter, the oldest first */
    unsigned openings;
    struct list_node gone; /* of the pool, when its pod is: goes with its last link */
    char key[];
};

/* One connection. */
struct link {
    struct place *place;
    struct list_node node;
    struct stream *stream; /* owned */
    struct h2_connection *connection;
    struct log_id via;
    size_t capacity; /* when it was last looked at */
    struct task watch;
    struct timer idle;
};

struct h2_pool {
    struct h2_pool_settings settings;
    struct h2_settings h2;
    struct map places;
    struct list_node gone; /* places that are in the map no more */
};

static struct metric metric_connections = {
    .name = "kube_tunnel_http2_connections",
    .help = "HTTP/2 connections to pods",
    .type = METRIC_GAUGE,
};

static void place_free_if_gone(struct place *place)
{
    if (list_empty(&place->gone) || !list_empty(&place->links))
        return;
    list_remove(&place->gone);
    free(place);
}

static void link_free(struct link *l)
{
    struct place *place = l->place;
    struct h2_pool *p = place->pool;

    task_cancel(&l->watch);
    timer_stop(&l->idle);
    list_remove(&l->node);
    h2_destroy(l->connection);
    stream_close(l->stream);
    free(l);
    metric_add_for(&metric_connections, p->settings.cluster, 0, -1);
    place_free_if_gone(place);
}

static void wake_waiters(struct place *place)
{
    list_for_each (w, &place->waiting, struct h2_waiter, node) {
        list_remove(&w->node);
        task_wake(w->wake);
    }
}

void h2_waiter_leave(struct h2_waiter *w)
{
    if (w->node.next)
        list_remove(&w->node);
}

/* The first bytes have come: keep what they show. */
static void learn(struct link *l)
{
    struct place *place = l->place;
    enum h2_peer peer = h2_peer(l->connection);
    enum speaks speaks = peer == H2_PEER_HTTP2   ? SPEAKS_HTTP2
                         : peer == H2_PEER_OTHER ? SPEAKS_HTTP1
                                                 : SPEAKS_UNKNOWN;

    if (speaks == SPEAKS_UNKNOWN || speaks == place->learnt)
        return;
    place->learnt = speaks;
    log_debug(CLUSTER_ID(place->pool->settings.cluster),
              "learnt what a pod's port speaks", LOG_S("place", place->key),
              LOG_S("protocol", speaks == SPEAKS_HTTP2 ? "HTTP/2" : "not HTTP/2"));
}

static void on_event(struct task *t)
{
    struct link *l = container_of(t, struct link, watch);
    size_t capacity = h2_capacity(l->connection), before = l->capacity;
    bool idle = h2_count(l->connection) == 0;

    learn(l);
    l->capacity = capacity;
    if (!idle)
        timer_stop(&l->idle);
    else if (l->idle.at == 0)
        timer_set(&l->idle, l->place->pool->settings.idle_ms);
    if (capacity > 0 && before == 0)
        wake_waiters(l->place);
    if (h2_is_over(l->connection))
        link_free(l);
    else if (idle && h2_is_draining(l->connection))
        h2_terminate(l->connection, RESET_NO_ERROR);
}

static void on_idle(struct timer *t)
{
    struct link *l = container_of(t, struct link, idle);

    h2_terminate(l->connection, RESET_NO_ERROR);
}

static struct place *place_find(const struct h2_pool *p, const struct endpoint *e,
                                uint16_t port)
{
    char room[POOL_KEY_ROOM];

    return p->places.count ? map_get(&p->places, pool_key(e, port, room)) : NULL;
}

static void forget_unused(struct h2_pool *p)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->places, &at));) {
        struct place *place = e->value;
        if (!list_empty(&place->links) || place->openings)
            continue;
        map_remove(&p->places, str_of(e->key));
        free(place);
    }
}

static struct place *place_get(struct h2_pool *p, const struct endpoint *e, uint16_t port)
{
    struct place *place = place_find(p, e, port);
    char room[POOL_KEY_ROOM];

    if (place)
        return place;
    if (p->places.count >= PLACES_MAX)
        forget_unused(p);
    struct str key = pool_key(e, port, room);
    place = xcalloc(1, sizeof(*place) + key.len + 1);
    place->pool = p;
    list_init(&place->links);
    list_init(&place->gone);
    list_init(&place->waiting);
    memcpy(place->key, key.at, key.len);
    map_set(&p->places, key, place);
    return place;
}

struct message_stream *h2_pool_take(struct h2_pool *p, const struct endpoint *e,
                                    uint16_t port, struct log_id *ret_via)
{
    struct place *place = place_find(p, e, port);

    if (!place)
        return NULL;
    list_for_each (l, &place->links, struct link, node) {
        struct message_stream *m = h2_open(l->connection);
        if (!m)
            continue;
        timer_stop(&l->idle);
        l->capacity = h2_capacity(l->connection);
        *ret_via = l->via;
        return m;
    }
    return NULL;
}

bool h2_pool_is_opening(const struct h2_pool *p, const struct endpoint *e, uint16_t port)
{
    const struct place *place = place_find(p, e, port);

    return place && place->openings;
}

void h2_pool_begin_opening(struct h2_pool *p, const struct endpoint *e, uint16_t port)
{
    place_get(p, e, port)->openings++;
}

void h2_pool_end_opening(struct h2_pool *p, const struct endpoint *e, uint16_t port)
{
    struct place *place = place_find(p, e, port);

    if (!place || !place->openings)
        return; /* its pod is gone */
    place->openings--;
    wake_waiters(place);
}

void h2_pool_wait(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                  struct h2_waiter *w, struct task *wake)
{
    w->wake = wake;
    h2_waiter_leave(w);
    list_append(&place_get(p, e, port)->waiting, &w->node);
}

void h2_pool_add(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                 struct stream *s, struct log_id via)
{
    struct link *l = xcalloc(1, sizeof(*l));

    l->place = place_get(p, e, port);
    l->stream = s;
    l->via = via;
    task_init(&l->watch, p->settings.sched, RANK_WORK, on_event);
    timer_init(&l->idle, p->settings.sched, on_idle);
    l->connection = h2_client_create(&p->h2, s, &l->watch);
    l->capacity = h2_capacity(l->connection);
    list_append(&l->place->links, &l->node);
    metric_add_for(&metric_connections, p->settings.cluster, 0, 1);
}

static bool declares_http2(const struct service_port *port)
{
    static const char *const names[] = { "h2c", "http2", "grpc", "kubernetes.io/h2c" };

    for (size_t i = 0; port && i < ARRAY_LEN(names); i++) {
        if (port->app_protocol ? strcmp(port->app_protocol, names[i]) == 0
                               : strcmp(port->name, names[i]) == 0)
            return true;
    }
    return false;
}

enum speaks h2_pool_speaks(const struct h2_pool *p, const struct endpoint *e,
                           uint16_t port, const struct service_port *declared)
{
    const struct place *place = place_find(p, e, port);

    if (place && place->learnt != SPEAKS_UNKNOWN)
        return place->learnt;
    return declares_http2(declared) ? SPEAKS_HTTP2 : SPEAKS_UNKNOWN;
}

void h2_pool_learn(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                   enum speaks speaks)
{
    place_get(p, e, port)->learnt = speaks;
}

static void drain_place(struct place *place)
{
    list_for_each (l, &place->links, struct link, node)
        h2_drain(l->connection);
}

void h2_pool_clear(struct h2_pool *p)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->places, &at));)
        drain_place(e->value);
}

void h2_pool_drop_pod(struct h2_pool *p, const char *pod_key)
{
    size_t at = 0, len = strlen(pod_key);

    for (struct map_entry *e; (e = map_next(&p->places, &at));) {
        struct place *place = e->value;
        if (strncmp(e->key, pod_key, len) != 0 || e->key[len] != ':')
            continue;
        map_remove(&p->places, str_of(e->key));
        list_append(&p->gone, &place->gone);
        wake_waiters(place);
        drain_place(place);
        place_free_if_gone(place);
    }
}

void h2_pool_trim(struct h2_pool *p)
{
    h2_settings_trim(&p->h2);
}

struct h2_pool *h2_pool_create(const struct h2_pool_settings *s)
{
    struct h2_pool *p = xcalloc(1, sizeof(*p));

    metrics_register(&metric_connections);
    p->settings = *s;
    p->h2 = (struct h2_settings){ .sched = s->sched,
                                  .pool = s->pool,
                                  .max_head_size = s->max_head_size,
                                  .max_head_fields = s->max_head_fields,
                                  .streams_max = s->streams_max,
                                  .window = s->window };
    h2_settings_init(&p->h2);
    map_init(&p->places);
    list_init(&p->gone);
    return p;
}

static void destroy_links(struct place *place)
{
    list_for_each (l, &place->links, struct link, node)
        link_free(l);
}

void h2_pool_destroy(struct h2_pool *p)
{
    size_t at = 0;

    if (!p)
        return;
    for (struct map_entry *e; (e = map_next(&p->places, &at));) {
        struct place *place = e->value;
        destroy_links(place);
        free(place);
    }
    list_for_each (place, &p->gone, struct place, gone) {
        list_remove(&place->gone);
        destroy_links(place);
        free(place);
    }
    map_finish(&p->places);
    h2_settings_finish(&p->h2);
    free(p);
}
