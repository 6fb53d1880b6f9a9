/* upstream/upstream.c - from "a request for web.shop, port 80" to a byte stream, and back
 *
 * upstream/leasing.h is the state machine of one lease.  This file has what all leases share:
 * idle connections, the load of endpoints, leases that may take a connection which becomes
 * idle instead of opening one, and reactions to changes in the catalog.
 */
#include "upstream/upstream.h"

#include <assert.h>

#include "base/own.h"
#include "net/loop.h"
#include "upstream/leasing.h"
#include "upstream/prewarming.h"
#include "upstream/survey.h"
#include "upstream/surveyed.h"

#define FREE_LIST_MAX 256

struct upstream {
    struct sched *sched;
    struct leasing_parts parts;
    struct connectors connectors;
    struct pool *pool;
    struct h2_pool *h2_pool;
    struct balance *balance;
    struct prewarming *prewarming;
    struct list_node leases, free_list; /* free_list: kept for the next lease */
    size_t lease_count, free_count;
    struct task *drained;
};

/* ---- leases ---- */

static struct leasing *leasing_get(struct upstream *u)
{
    struct leasing *l;

    if (list_empty(&u->free_list)) {
        l = leasing_create(u, &u->parts);
    } else {
        l = list_first(&u->free_list, struct leasing, node);
        list_remove(&l->node);
        u->free_count--;
    }
    list_append(&u->leases, &l->node);
    u->lease_count++;
    return l;
}

static void leasing_put(struct leasing *l)
{
    struct upstream *u = l->owner;

    leasing_reset(l);
    list_remove(&l->node);
    u->lease_count--;
    if (u->free_count < FREE_LIST_MAX) {
        list_append(&u->free_list, &l->node);
        u->free_count++;
    } else {
        leasing_destroy(l);
    }
    if (u->drained && u->lease_count == 0)
        task_wake(u->drained);
}

void upstream_lease(struct upstream *u, const struct want *want, struct lease *lease,
                    struct task *wake)
{
    leasing_start(leasing_get(u), want, lease, wake);
}

void upstream_lease_move(struct lease *from, struct lease *to, struct str client,
                         struct task *wake)
{
    struct leasing *l = from->private;

    assert(!to->private);
    *to = *from;
    *from = (struct lease){ 0 };
    if (!l)
        return; /* it failed before upstream_lease was called */
    l->lease = to;
    l->want.client = client;
    l->wake = wake;
    if (to->stream)
        to->stream->wake = wake;
}

/* ---- returned connections ---- */

/* The oldest request that waits for an opening to the same port of the same pod and may have
 * this connection.  One whose opening has just succeeded waits no more. */
static struct leasing *find_opening(struct upstream *u, const struct lease *like,
                                    const struct stream *s)
{
    struct waiters *waiters = &u->parts.waiters;

    while (waiters->queues.count && stream_is_free(s, false)) {
        bool shared = !stream_is_free(s, true);
        struct waiter *w =
            waiters_oldest(waiters, like->endpoint, lease_use(like), shared);
        struct leasing *l = w ? container_of(w, struct leasing, waiter) : NULL;
        if (!l)
            return NULL;
        if (l->opening.result == ERR_AGAIN)
            return pool_trusts(u->pool, like->endpoint, lease_use(like),
                               l->want.repeatable)
                       ? l
                       : NULL;
        waiters_remove(w);
    }
    return NULL;
}

/* If the pod ended a reused connection before it sent a response, it had closed it while idle:
 * the pool learns from that. */
static void learn_lifetime(struct upstream *u, const struct leasing *l,
                           enum verdict verdict)
{
    const struct lease *lease = l->lease;
    uint64_t seen_ms = l->idle_ms + (u->sched->now - l->held_at);

    if (lease->unanswered && lease->reused && !lease->is_shared &&
        (verdict == V_CLEAN || verdict == V_RESET))
        pool_on_failure(u->pool, lease->endpoint, lease_use(lease), l->idle_ms, seen_ms);
}

/* If the pod's packets stopped coming, close its other idle connections, too: they would fail
 * one by one. */
static void learn_silence(struct upstream *u, const struct lease *lease,
                          enum verdict verdict)
{
    if (verdict != V_TRANSPORT_LOST || !lease_is_direct(lease))
        return;
    pool_drop_pod(u->pool, lease->endpoint->key);
    connectors_on_lost(&u->connectors, lease->endpoint);
}

static void learn(struct upstream *u, const struct lease *lease,
                  enum release_mode release)
{
    enum verdict verdict = lease->stream->end.verdict;

    if (lease->speaks_http2)
        h2_pool_learn(u->h2_pool, lease->endpoint, lease_use(lease), SPEAKS_HTTP2);
    learn_lifetime(u, lease->private, verdict);
    learn_silence(u, lease, verdict);
    if (verdict == V_REFUSED)
        balance_on_refusal(u->balance, lease->endpoint, lease->port);
    else if (release != RELEASE_ABORT)
        balance_on_answer(u->balance, lease->endpoint, lease->port);
    balance_end(u->balance, lease->endpoint);
}

static bool may_keep(const struct upstream *u, const struct stream *s)
{
    return s->end.verdict == V_OPEN && !s->broken && !s->shut && bufq_empty(&s->in) &&
           bufq_empty(&s->out) && !u->drained && stream_is_reusable(s);
}

static void keep(struct upstream *u, const struct lease *lease, struct stream *s)
{
    stream_lend(s, false);
    struct leasing *next = lease->pair ? NULL : find_opening(u, lease, s);
    if (!next) {
        pool_put(u->pool, lease, s, lease->private->idle_ms);
        return;
    }
    stream_set_alone(s, next->want.alone);
    stream_lend(s, true);
    leasing_take(next, s, lease->via);
}

static void give_back(struct upstream *u, struct lease *lease, enum release_mode release)
{
    learn(u, lease, release);
    struct stream *s = TAKE(lease->stream);
    s->wake = NULL;
    if (release == RELEASE_KEEP && !lease->is_shared && may_keep(u, s))
        keep(u, lease, s);
    else if (release == RELEASE_ABORT)
        stream_abort(s);
    else
        stream_close(s);
}

/* The service is in use: prewarm tunnels for its next requests, also to a second endpoint. */
static void prepare(const struct leasing *l)
{
    struct upstream *u = l->owner;
    const struct endpoint *e = l->lease->endpoint;
    const struct at_once a = { .connectors = &u->connectors };

    if (l->prewarm)
        connector_prewarm(connectors_for(&u->connectors, e), e->key);
    if (l->second)
        at_once_prepare(&a, u->sched->now, l->second);
}

void upstream_return(struct lease *lease, enum release_mode release)
{
    struct leasing *l = lease->private;

    if (!l)
        return;
    if (lease->stream)
        give_back(l->owner, lease, release);
    if (release != RELEASE_ABORT && l->state == LEASE_HELD)
        prepare(l);
    leasing_put(l);
    endpoint_unref(TAKE(lease->endpoint));
    *lease = (struct lease){ 0 };
}

struct survey *survey_open(struct upstream *u, const struct route *route,
                           struct str client, struct task *wake)
{
    return survey_create(&u->parts, route, client, wake);
}

void upstream_unpair(struct upstream *u, uint64_t pair)
{
    pool_drop_pair(u->pool, pair);
}

/* ---- changes in the catalog ---- */

static void on_gone(void *owner, const char *pod_key)
{
    struct upstream *u = owner;

    pool_drop_pod(u->pool, pod_key);
    h2_pool_drop_pod(u->h2_pool, pod_key);
    connectors_retire(&u->connectors, pod_key);
    balance_forget(u->balance, pod_key);
}

static void on_change(void *owner, const struct service *before,
                      const struct service *after)
{
    const struct upstream *u = owner;
    prewarming_on_change(u->prewarming, before, after);
}

static bool on_no_files(void *owner)
{
    return upstream_free_descriptor(owner);
}

/* ---- create and destroy ---- */

static void parts_init(struct leasing_parts *p, struct upstream *u,
                       struct chunk_pool *pool, struct catalog *catalog,
                       const struct upstream_settings *settings)
{
    p->settings = *settings;
    p->catalog = catalog;
    p->choosing = (struct choosing){
        .sched = u->sched,
        .pool = u->pool,
        .h2_pool = u->h2_pool,
        .connectors = &u->connectors,
        .balance = u->balance,
        .prepare_second = settings->prepare_second,
    };
    allowed_init(&p->allowed, u->sched);
    missing_init(&p->missing);
    waiters_init(&p->waiters);
    p->tls_ports = tls_ports_create(u->sched, pool, &p->settings);
    tls_ports_configure(p->tls_ports, &settings->tls);
    p->settings.tls = (struct upstream_tls){ 0 };
}

static void parts_finish(struct leasing_parts *p)
{
    waiters_finish(&p->waiters);
    tls_ports_destroy(p->tls_ports);
    allowed_finish(&p->allowed);
    missing_finish(&p->missing);
    free(p->found_zone);
}

/* The fewer connections carry the requests, the more of them go into one TLS record, and
 * the fewer tunnels wake the API server, the kubelet and the runtime.  250 is what Go's
 * servers allow. */
#define POD_STREAMS 250u

static uint32_t pod_streams(const struct upstream_settings *s)
{
    return s->http2_streams > POD_STREAMS ? s->http2_streams : POD_STREAMS;
}

static struct h2_pool *create_h2_pool(struct loop *loop,
                                      const struct upstream_settings *settings)
{
    return h2_pool_create(&(struct h2_pool_settings){
        .sched = loop_sched(loop),
        .pool = loop_pool(loop),
        .max_head_size = settings->max_head_size,
        .max_head_fields = settings->max_head_fields,
        .streams_max = pod_streams(settings),
        .window = settings->http2_window,
        .idle_ms = settings->idle_ms,
        .cluster = settings->cluster,
    });
}

struct upstream *upstream_create(struct loop *loop, struct catalog *catalog,
                                 const struct upstream_connectors *connectors,
                                 const struct upstream_settings *settings)
{
    struct upstream *u = xcalloc(1, sizeof(*u));

    leasing_register_metrics();
    u->sched = loop_sched(loop);
    connectors_init(&u->connectors, u->sched, connectors, settings->cluster);
    u->connectors.free_descriptor = on_no_files;
    u->connectors.owner = u;
    u->pool = pool_create(u->sched, &u->connectors, settings->idle_ms, settings->cluster);
    u->h2_pool = create_h2_pool(loop, settings);
    u->balance = balance_create(u->sched);
    parts_init(&u->parts, u, loop_pool(loop), catalog, settings);
    list_init(&u->leases);
    list_init(&u->free_list);
    u->prewarming = prewarming_create(u->sched, &u->connectors, &u->parts.settings.own);
    catalog_on_gone(catalog, on_gone, u);
    catalog_on_change(catalog, on_change, u);
    return u;
}

void upstream_configure(struct upstream *u, const struct upstream_settings *fresh)
{
    struct upstream_settings *s = &u->parts.settings;

    s->idle_ms = fresh->idle_ms;
    s->prepare_second = u->parts.choosing.prepare_second = fresh->prepare_second;
    s->attempt_ms = fresh->attempt_ms;
    s->silence_ms = fresh->silence_ms;
    s->max_head_size = fresh->max_head_size;
    s->max_head_fields = fresh->max_head_fields;
    s->http2_streams = fresh->http2_streams;
    s->http2_window = fresh->http2_window;
    tls_ports_configure(u->parts.tls_ports, &fresh->tls);
    pool_set_idle(u->pool, s->idle_ms);
    h2_pool_configure(u->h2_pool, s->idle_ms,
                      &(struct h2_limits){ s->max_head_size, s->max_head_fields,
                                           pod_streams(s), s->http2_window });
}

void upstream_set_zone(struct upstream *u, const char *found)
{
    free(u->parts.found_zone);
    u->parts.found_zone = xstrdup(found);
    tls_ports_set_zone(u->parts.tls_ports, found);
}

static void drop_free_list(struct upstream *u)
{
    while (!list_empty(&u->free_list)) {
        struct leasing *l = list_first(&u->free_list, struct leasing, node);
        list_remove(&l->node);
        leasing_destroy(l);
    }
    u->free_count = 0;
}

void upstream_each_pod(const struct upstream *u,
                       void (*each)(void *owner, const struct pod_load *), void *owner)
{
    balance_each(u->balance, each, owner);
}

void upstream_trim(struct upstream *u)
{
    drop_free_list(u);
    pool_trim(u->pool);
    h2_pool_trim(u->h2_pool);
    tls_ports_trim(u->parts.tls_ports);
    balance_trim(u->balance);
}

void upstream_drain(struct upstream *u, struct task *done)
{
    u->drained = done;
    pool_clear(u->pool);
    h2_pool_clear(u->h2_pool);
    list_for_each (l, &u->leases, struct leasing, node)
        leasing_cancel(l);
    if (u->lease_count == 0)
        task_wake(done);
}

bool upstream_free_descriptor(struct upstream *u)
{
    return pool_free_descriptor(u->pool);
}

bool upstream_idle(const struct upstream *u)
{
    return u->lease_count == 0;
}

void upstream_destroy(struct upstream *u)
{
    if (!u)
        return;
    assert(list_empty(&u->leases));
    catalog_on_gone(u->parts.catalog, NULL, NULL);
    catalog_on_change(u->parts.catalog, NULL, NULL);
    prewarming_destroy(u->prewarming);
    pool_destroy(u->pool);
    h2_pool_destroy(u->h2_pool);
    balance_destroy(u->balance);
    drop_free_list(u);
    parts_finish(&u->parts);
    connectors_finish(&u->connectors);
    free(u);
}

size_t upstream_waiting(const struct upstream *u)
{
    size_t count = 0;

    list_for_each (l, &u->leases, struct leasing, node)
        count += l->state == LEASE_PARKED;
    return count;
}
