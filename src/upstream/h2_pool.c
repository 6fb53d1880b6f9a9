#include "upstream/h2_pool.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"

LOG_MODULE(upstream);

#define POD_PORTS_MAX 4096 /* with more, those without connections are freed */
#define FLUSH_MS 1000      /* for the last frames of a connection, GOAWAY among them */

struct pod_port {
    struct h2_pool *pool;
    struct list_node links; /* struct link, the oldest first */
    enum speaks learnt;
    /* A connection ended before anything came: HTTP/1 may be spoken, although HTTP/2 is
     * declared. */
    bool silent;
    bool lacks_connect;       /* the last SETTINGS did not allow extended CONNECT */
    struct list_node waiting; /* struct h2_waiter, the oldest first */
    unsigned openings;
    uint32_t streams; /* that the last SETTINGS accepted at once; 0: unknown */
    struct list_node
        gone; /* in pool->gone after its pod is gone: freed with its last link */
    char key[];
};

/* One connection. */
struct link {
    struct pod_port *pod_port;
    struct list_node node;
    struct stream *stream; /* owned */
    struct h2_connection *connection;
    struct log_id via;
    size_t capacity; /* room for further streams at the last wake-up */
    bool settled;    /* the pod's SETTINGS had come at the last wake-up */
    struct task watch;
    struct timer idle; /* when it is over: the deadline of its last frames */
    bool flushing;     /* it is over, and stream->out is not empty */
};

struct h2_pool {
    struct h2_pool_settings settings;
    struct h2_settings h2;
    struct map pod_ports;
    struct list_node gone; /* struct pod_port of pods that are gone, not in the map */
};

static struct metric metric_connections = {
    .name = "kube_tunnel_http2_connections",
    .help = "HTTP/2 connections to pods",
    .type = METRIC_GAUGE,
};

static void pod_port_free_if_gone(struct pod_port *pod_port)
{
    if (list_empty(&pod_port->gone) || !list_empty(&pod_port->links))
        return;
    list_remove(&pod_port->gone);
    free(pod_port);
}

static void link_free(struct link *l)
{
    struct pod_port *pod_port = l->pod_port;
    struct h2_pool *p = pod_port->pool;

    task_cancel(&l->watch);
    timer_stop(&l->idle);
    list_remove(&l->node);
    h2_destroy(l->connection);
    stream_close(l->stream);
    free(l);
    metric_add_for(&metric_connections, p->settings.cluster, 0, -1);
    pod_port_free_if_gone(pod_port);
}

static void wake_waiters(struct pod_port *pod_port)
{
    list_for_each (w, &pod_port->waiting, struct h2_waiter, node) {
        list_remove(&w->node);
        task_wake(w->wake);
    }
}

void h2_waiter_leave(struct h2_waiter *w)
{
    if (w->node.next)
        list_remove(&w->node);
}

/* After the first bytes from the port: remember which protocol it speaks. */
static void learn(struct link *l)
{
    struct pod_port *pod_port = l->pod_port;
    enum h2_peer peer = h2_peer(l->connection);
    enum speaks speaks = peer == H2_PEER_HTTP2   ? SPEAKS_HTTP2_ALSO
                         : peer == H2_PEER_OTHER ? SPEAKS_HTTP1
                                                 : SPEAKS_UNKNOWN;

    bool is_known = speaks == SPEAKS_HTTP2_ALSO && pod_port->learnt == SPEAKS_HTTP2;
    if (speaks == SPEAKS_UNKNOWN || speaks == pod_port->learnt || is_known)
        return;
    pod_port->learnt = speaks;
    log_debug(CLUSTER_ID(pod_port->pool->settings.cluster),
              "protocol of a pod's port learnt", LOG_S("pod_port", pod_port->key),
              LOG_S("protocol", speaks == SPEAKS_HTTP1 ? "not HTTP/2" : "HTTP/2"));
}

static void learn_settings(struct link *l)
{
    l->pod_port->lacks_connect = !h2_accepts_connect(l->connection);
    l->pod_port->streams = h2_streams_accepted(l->connection);
}

/* Some servers of HTTP/1 close the connection at the preface, or wait for more. */
static void learn_from_end(struct link *l)
{
    enum verdict verdict = l->stream->end.verdict;
    bool is_ours = verdict == V_OPEN || verdict == V_CLEAN || verdict == V_RESET;

    if (h2_peer(l->connection) == H2_PEER_UNKNOWN && is_ours)
        l->pod_port->silent = true;
}

/* A closed stream drops what is in its queue: the pod would not learn why. */
static void end_when_flushed(struct link *l)
{
    learn_from_end(l);
    wake_waiters(l->pod_port);
    if (l->stream->broken || bufq_empty(&l->stream->out)) {
        link_free(l);
        return;
    }
    if (!l->flushing)
        timer_set(&l->idle, FLUSH_MS);
    l->flushing = true;
}

static void on_event(struct task *t)
{
    struct link *l = container_of(t, struct link, watch);
    size_t capacity = h2_capacity(l->connection), before = l->capacity;
    bool idle = h2_count(l->connection) == 0;

    learn(l);
    l->capacity = capacity;
    if (h2_is_over(l->connection)) {
        end_when_flushed(l);
        return;
    }
    if (!idle)
        timer_stop(&l->idle);
    else if (l->idle.at == 0)
        timer_set(&l->idle, l->pod_port->pool->settings.idle_ms);
    bool settled = h2_has_settings(l->connection);
    if (settled)
        learn_settings(l);
    if ((capacity > 0 && before == 0) || settled != l->settled)
        wake_waiters(l->pod_port);
    l->settled = settled;
    if (idle && h2_is_draining(l->connection))
        h2_terminate(l->connection, RESET_NO_ERROR);
}

static void on_idle(struct timer *t)
{
    struct link *l = container_of(t, struct link, idle);

    if (l->flushing)
        link_free(l);
    else
        h2_terminate(l->connection, RESET_NO_ERROR);
}

static struct pod_port *pod_port_find(const struct h2_pool *p, const struct endpoint *e,
                                      struct port_use use)
{
    char room[POOL_KEY_ROOM];

    return p->pod_ports.count ? map_get(&p->pod_ports, pool_key(e, use, room)) : NULL;
}

static void forget_unused(struct h2_pool *p)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));) {
        struct pod_port *pod_port = e->value;
        if (!list_empty(&pod_port->links) || pod_port->openings)
            continue;
        map_remove(&p->pod_ports, str_of(e->key));
        free(pod_port);
    }
}

static struct pod_port *pod_port_get(struct h2_pool *p, const struct endpoint *e,
                                     struct port_use use)
{
    struct pod_port *pod_port = pod_port_find(p, e, use);
    char room[POOL_KEY_ROOM];

    if (pod_port)
        return pod_port;
    if (p->pod_ports.count >= POD_PORTS_MAX)
        forget_unused(p);
    struct str key = pool_key(e, use, room);
    pod_port = xcalloc(1, sizeof(*pod_port) + key.len + 1);
    pod_port->pool = p;
    list_init(&pod_port->links);
    list_init(&pod_port->gone);
    list_init(&pod_port->waiting);
    memcpy(pod_port->key, key.at, key.len);
    map_set(&p->pod_ports, key, pod_port);
    return pod_port;
}

struct message_stream *h2_pool_take(struct h2_pool *p, const struct endpoint *e,
                                    struct port_use use, bool certain,
                                    struct log_id *ret_via)
{
    struct pod_port *pod_port = pod_port_find(p, e, use);

    if (!pod_port)
        return NULL;
    list_for_each (l, &pod_port->links, struct link, node) {
        bool may_use = !certain || h2_has_settings(l->connection);
        struct message_stream *m = may_use ? h2_open(l->connection) : NULL;
        if (!m)
            continue;
        timer_stop(&l->idle);
        l->capacity = h2_capacity(l->connection);
        *ret_via = l->via;
        return m;
    }
    return NULL;
}

bool h2_pool_awaits_settings(const struct h2_pool *p, const struct endpoint *e,
                             struct port_use use)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    if (!pod_port)
        return false;
    list_for_each (l, &pod_port->links, struct link, node)
        if (!h2_has_settings(l->connection) && h2_capacity(l->connection))
            return true;
    return false;
}

bool h2_pool_is_opening(const struct h2_pool *p, const struct endpoint *e,
                        struct port_use use)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    return pod_port && pod_port->openings;
}

void h2_pool_begin_opening(struct h2_pool *p, const struct endpoint *e,
                           struct port_use use)
{
    pod_port_get(p, e, use)->openings++;
}

void h2_pool_end_opening(struct h2_pool *p, const struct endpoint *e, struct port_use use)
{
    struct pod_port *pod_port = pod_port_find(p, e, use);

    if (!pod_port || !pod_port->openings)
        return; /* its pod is gone */
    pod_port->openings--;
    wake_waiters(pod_port);
}

void h2_pool_wait(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                  struct h2_waiter *w, struct task *wake)
{
    w->wake = wake;
    h2_waiter_leave(w);
    list_append(&pod_port_get(p, e, use)->waiting, &w->node);
}

void h2_pool_add(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                 struct stream *s, struct log_id via)
{
    struct link *l = xcalloc(1, sizeof(*l));

    l->pod_port = pod_port_get(p, e, use);
    l->stream = s;
    l->via = via;
    task_init(&l->watch, p->settings.sched, RANK_WORK, on_event);
    timer_init(&l->idle, p->settings.sched, on_idle);
    l->connection = h2_client_create(&p->h2, s, &l->watch);
    h2_assume_streams(l->connection, l->pod_port->streams);
    l->capacity = h2_capacity(l->connection);
    list_append(&l->pod_port->links, &l->node);
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
                           struct port_use use, const struct service_port *declared)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    enum speaks learnt = pod_port ? pod_port->learnt : SPEAKS_UNKNOWN;

    if (learnt == SPEAKS_HTTP1 || learnt == SPEAKS_HTTP2)
        return learnt;
    bool is_doubtful = learnt == SPEAKS_UNKNOWN && pod_port && pod_port->silent;
    return declares_http2(declared) && !is_doubtful ? SPEAKS_HTTP2 : learnt;
}

bool h2_pool_has_shown_http2(const struct h2_pool *p, const struct endpoint *e,
                             struct port_use use)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    return pod_port &&
           (pod_port->learnt == SPEAKS_HTTP2_ALSO || pod_port->learnt == SPEAKS_HTTP2);
}

bool h2_pool_lacks_connect(const struct h2_pool *p, const struct endpoint *e,
                           struct port_use use)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    return pod_port && pod_port->lacks_connect;
}

bool h2_pool_lacks_http1(const struct h2_pool *p, const struct endpoint *e,
                         struct port_use use)
{
    const struct pod_port *pod_port = pod_port_find(p, e, use);

    return pod_port && pod_port->learnt == SPEAKS_HTTP2;
}

void h2_pool_learn(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                   enum speaks speaks)
{
    pod_port_get(p, e, use)->learnt = speaks;
}

static void drain_pod_port(struct pod_port *pod_port)
{
    list_for_each (l, &pod_port->links, struct link, node)
        h2_drain(l->connection);
}

void h2_pool_clear(struct h2_pool *p)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));)
        drain_pod_port(e->value);
}

void h2_pool_drop_pod(struct h2_pool *p, const char *pod_key)
{
    size_t at = 0, len = strlen(pod_key);

    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));) {
        struct pod_port *pod_port = e->value;
        if (strncmp(e->key, pod_key, len) != 0 || e->key[len] != ':')
            continue;
        map_remove(&p->pod_ports, str_of(e->key));
        list_append(&p->gone, &pod_port->gone);
        wake_waiters(pod_port);
        drain_pod_port(pod_port);
        pod_port_free_if_gone(pod_port);
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
    map_init(&p->pod_ports);
    list_init(&p->gone);
    return p;
}

static void destroy_links(struct pod_port *pod_port)
{
    list_for_each (l, &pod_port->links, struct link, node)
        link_free(l);
}

void h2_pool_configure(struct h2_pool *p, uint64_t idle_ms,
                       const struct h2_limits *limits)
{
    p->settings.idle_ms = idle_ms;
    h2_settings_change(&p->h2, limits);
}

void h2_pool_destroy(struct h2_pool *p)
{
    size_t at = 0;

    if (!p)
        return;
    for (struct map_entry *e; (e = map_next(&p->pod_ports, &at));) {
        struct pod_port *pod_port = e->value;
        destroy_links(pod_port);
        free(pod_port);
    }
    list_for_each (pod_port, &p->gone, struct pod_port, gone) {
        list_remove(&pod_port->gone);
        destroy_links(pod_port);
        free(pod_port);
    }
    map_finish(&p->pod_ports);
    h2_settings_finish(&p->h2);
    free(p);
}
