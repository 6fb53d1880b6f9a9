/* tunnel/tunnels.c - which tunnel serves whom
 *
 * Per pod: the tunnels, and the openings that wait for one.  An opening takes an
 * available tunnel, the one used last (so that the others can expire); when there is none
 * it waits, and enough tunnels are dialled for all who wait.  Whichever tunnel becomes
 * available first, dialled or given back, goes to the oldest that may have it.  Up to
 * own_max tunnels of a pod carry one connection at a time (own_brief_max, for openings that
 * do not want to be alone); the others are shared by up to five, one for each worker of the
 * runtime.  placing.c decides which an opening gets.
 *
 * A failed dial fails as many openings as then have nothing left to hope for; an answer
 * about the pod or our rights fails them all.  Who may be tried again is upstream/'s
 * business; a Retry-After is kept here, and nobody dials before it is over.
 */
#include "tunnel/tunnels.h"

#define OPENING_PROGRESS_MS 1000
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/dialling.h"
#include "tunnel/pod_removal.h"
#include "tunnel/placing.h"
#include "tunnel/prewarmed_connection.h"

LOG_MODULE(tunnel);

static struct metric metric_live = {
    .name = "kube_tunnel_tunnels",
    .help = "Tunnels that are open or being dialled.",
    .type = METRIC_GAUGE,
};
static struct metric metric_connections = {
    .name = "kube_tunnel_connections_total",
    .help = "Connections opened to pods, on an open or a newly dialled tunnel.",
    .type = METRIC_COUNTER,
    .label = "tunnel",
    .values = { "open", "dialled" },
};
static struct metric metric_expired = {
    .name = "kube_tunnel_tunnels_expired_total",
    .help = "Tunnels closed because they were idle.",
    .type = METRIC_COUNTER,
};

static struct tunnels *tunnels_of(struct connector *c)
{
    return container_of(c, struct tunnels, connector);
}

static void pod_destroy(struct pod *p)
{
    free(p->uid);
    free(p->key);
    free(p->ns);
    free(p->name);
    free(p->label);
    list_remove(&p->lacking);
    list_remove(&p->ahead);
    list_remove(&p->full);
    node_unref(p->node);
    pod_removal_destroy(p->removal);
    free(p);
}

static bool is_expected(struct pod *p)
{
    demand_decay(&p->demand, p->owner->sched->now);
    return p->demand.wanted > 0 && !p->gone;
}

/* That it is not to be dialled for a while, and that spares are due, is remembered. */
static void drop_if_unused(struct pod *p)
{
    bool matters =
        p->owner->sched->now < p->not_before || dialling_is_failing(p) || is_expected(p);

    if (!list_empty(&p->tunnels) || !list_empty(&p->waiting))
        return;
    if (matters && !p->owner->draining)
        return;
    map_remove(&p->owner->pods, str_of(p->key));
    pod_destroy(p);
}

static struct pod *pod_get(struct tunnels *ts, const struct endpoint *e)
{
    struct pod *p = map_get(&ts->pods, str_of(e->key));
    if (p)
        return p;
    p = xcalloc(1, sizeof(*p));
    p->owner = ts;
    p->small_run = COALESCE_AFTER; /* until it shows itself otherwise */
    p->uid = xstrdup(e->uid);
    p->key = xstrdup(e->key);
    p->ns = xstrdup(e->ns);
    p->name = xstrdup(e->pod);
    p->label = xasprintf("%s/%s", e->ns, e->pod);
    p->node = node_ref(&ts->nodes, e->ns, e->node ? e->node : "");
    list_init(&p->lacking);
    list_init(&p->ahead);
    list_init(&p->full);
    list_init(&p->tunnels);
    list_init(&p->with_room);
    list_init(&p->waiting);
    map_set(&ts->pods, str_of(p->key), p);
    return p;
}

void tunnels_each_pod(struct tunnels *ts, void (*visit)(struct pod *p, uint64_t idle_ms),
                      uint64_t idle_ms)
{
    size_t n = 0, at = 0;
    struct pod **pods = xcalloc(ts->pods.count, sizeof(*pods));
    for (struct map_entry *e; (e = map_next(&ts->pods, &at));)
        pods[n++] = e->value;
    for (size_t i = 0; i < n; i++)
        visit(pods[i], idle_ms);
    free(pods);
}

void tunnels_count(struct tunnels *ts, int change)
{
    ts->live += (size_t)change;
    metric_add_for(&metric_live, ts->settings.cluster, 0, change);
    if (ts->draining && ts->live == 0)
        task_wake(ts->drained);
}

static void note_demand(struct pod *p)
{
    demand_note(&p->demand, p->lent + p->waiters, p->owner->sched->now);
    demand_note_alone(&p->demand, p->lent_alone + p->waiting_alone);
}

/* Those that wait for it to be proven may share a tunnel now. */
void pod_on_answer(struct pod *p, uint16_t port)
{
    ports_on_answer(&p->ports, port);
}

void pod_on_lent(struct pod *p, bool lent, bool alone)
{
    uint32_t change = lent ? 1 : (uint32_t)-1;

    p->lent += change;
    p->lent_alone += alone ? change : 0;
    if (lent)
        note_demand(p);
}

static void give(struct pod *p, struct tunnel *t, struct opening *o)
{
    list_remove(&t->in_pod);
    list_prepend(&p->tunnels, &t->in_pod);
    list_remove(&t->in_room);
    list_prepend(&p->with_room, &t->in_room);
    t->given = ++p->given;
    o->stream = tunnel_connect(t, o);
    o->via = t->id;
    o->result = OK;
    metric_add_for(&metric_connections, p->owner->settings.cluster, o->dialled, 1);
    log_debug(t->id, o->dialled ? "connection" : "connection on an open tunnel",
              LOG_S("pod", p->label), LOG_U("port", o->port));
}

static void leave_waiting(struct opening *o)
{
    struct pod *p = o->private;

    list_remove(&o->waiting);
    p->waiters--;
    p->waiting_alone -= o->alone;
}

static void set_failure(struct opening *o, const struct api_error *error)
{
    o->error = *error;
    o->result = error->code ? error->code : ERR_UNAVAILABLE;
}

static void fail_opening(struct opening *o, const struct api_error *error)
{
    leave_waiting(o);
    set_failure(o, error);
    task_wake(o->wake);
}

void pod_fail_waiting(struct pod *p, const struct api_error *error)
{
    while (!list_empty(&p->waiting))
        fail_opening(list_first(&p->waiting, struct opening, waiting), error);
}

static void cancel_waiting(struct pod *p)
{
    struct api_error error = { .code = ERR_CANCELLED };
    diag_set(&error.why, ERR_CANCELLED, "shutting down");
    pod_fail_waiting(p, &error);
}

/* The oldest first, but an opening that wants to be alone does not keep others back, nor
 * they it. */
static void serve_waiting(struct pod *p)
{
    bool in_vain[CLAIMS] = { false };
    uint32_t own_dials = p->coming_own;

    list_for_each (o, &p->waiting, struct opening, waiting) {
        enum claim claim = placing_claim(p, o, own_dials);
        struct tunnel *t = in_vain[claim] ? NULL : placing_find(p, claim);
        in_vain[claim] = t == NULL;
        own_dials -= !t && claim == CLAIM_DIALLED;
        if (!t)
            continue;
        leave_waiting(o);
        give(p, t, o);
        task_wake(o->wake);
    }
}

void pod_on_tunnel_change(struct pod *p)
{
    serve_waiting(p);
    dialling_for_waiting(p);
    dialling_ahead(p);
}

void pod_on_tunnel_retired(struct pod *p, struct tunnel *t)
{
    p->open -= tunnel_carries(t);
}

/* The API server itself did not answer: no pod of it need be dialled for a while. */
static bool is_silence(const struct tunnel *t)
{
    bool ours = t->error.code == ERR_GONE || t->error.code == ERR_CANCELLED;
    return t->error.status == 0 && !t->reached && !ours;
}

static void on_dial_failed(struct pod *p, const struct api_error *error, bool silent)
{
    dialling_on_failure(p, error, silent);
    if (error->code == ERR_NO_FILES && p->waiters)
        shortage_of_descriptor(p->owner);
    dialling_log_failure(p, error);
    if (dialling_is_final(error) && error->code == ERR_NOT_FOUND)
        p->gone = true;
    while (!list_empty(&p->waiting) &&
           (dialling_is_final(error) || p->waiters > p->coming))
        fail_opening(list_first(&p->waiting, struct opening, waiting), error);
}

void pod_on_tunnel_closed(struct pod *p, struct tunnel *t)
{
    struct tunnels *ts = p->owner;
    bool was_dialling = t->opened_at == 0;
    bool was_good = !was_dialling && !t->retired;
    bool silent = is_silence(t);
    struct api_error error = t->error;
    uint32_t carried = tunnel_carries(t);
    struct node *node = node_share(p->node);

    if (!was_dialling && error.code != ERR_CANCELLED)
        dialling_on_loss(p, ts->sched->now - t->opened_at);
    p->own -= t->share == NULL;
    if (was_dialling)
        dialling_on_end(p, t);
    tunnel_destroy(t);
    p->count--;
    p->open -= was_good ? carried : 0;
    if (was_good && error.code == ERR_CANCELLED) { /* we closed it: it is not missed */
        demand_limit(&p->demand, p->open);
        p->prewarms = false;
    }
    if (was_dialling && !ts->draining)
        on_dial_failed(p, &error, silent);
    dialling_for_waiting(p);
    dialling_ahead(p);
    tunnels_count(ts, -1);
    drop_if_unused(p); /* p may be gone */
    if (was_dialling)
        dialling_next(ts, node);
    node_unref(node);
}

/* It had only left its services for a moment. */
static void come_back(struct pod *p)
{
    p->gone = false;
    pod_removal_destroy(TAKE(p->removal));
}

static void open_connection(struct connector *c, const struct endpoint *endpoint,
                            struct opening *o)
{
    struct tunnels *ts = tunnels_of(c);
    struct pod *p = pod_get(ts, endpoint);
    struct tunnel *t =
        placing_find(p, placing_claim(p, o, p->coming_own > p->waiting_alone));
    if (p->gone && endpoint->ready && !endpoint->terminating)
        come_back(p);
    o->dialled = !t;
    if (t) {
        list_init(&o->waiting);
        give(p, t, o);
        dialling_ahead(p);
        return;
    }
    const struct api_error *forbidden = dialling_forbids(p);
    if (forbidden && !p->coming) { /* known at once: nobody has to be woken */
        list_init(&o->waiting);
        set_failure(o, forbidden);
        drop_if_unused(p);
        return;
    }
    o->private = p;
    list_append(&p->waiting, &o->waiting);
    p->waiters++;
    p->waiting_alone += o->alone;
    note_demand(p);
    if (ts->draining)
        cancel_waiting(p);
    uint32_t own_before = p->coming_own;
    dialling_for_waiting(p);
    if (p->coming_own != own_before) /* a tunnel that is there is kept for it no longer */
        serve_waiting(p);
    dialling_ahead(p);
    drop_if_unused(p);
}

static bool opening_waits_its_turn(const struct opening *o)
{
    const struct pod *p = o->private;

    return o->result == ERR_AGAIN && p->opened_at &&
           p->owner->sched->now - p->opened_at < OPENING_PROGRESS_MS;
}

static void cancel_opening(struct opening *o)
{
    struct pod *p = o->private;

    leave_waiting(o);
    drop_if_unused(p);
}

static struct pod *pod_find(struct connector *c, const char *pod_key)
{
    return map_get(&tunnels_of(c)->pods, str_of(pod_key));
}

static bool has_room(struct connector *c, const char *pod_key, uint16_t port)
{
    struct pod *p = pod_find(c, pod_key);
    return p && !p->gone && !p->owner->draining && placing_has_room(p, port);
}

static bool carries_much(struct connector *c, const char *pod_key)
{
    struct pod *p = pod_find(c, pod_key);
    return p && p->owner->settings.coalesce && !coalesce_is_apt(p);
}

static struct demand recent_demand(struct connector *c, const char *pod_key)
{
    struct sched *sched = tunnels_of(c)->sched;
    struct pod *p = pod_find(c, pod_key);
    struct demand none = { 0 };

    if (!p)
        return none;
    demand_decay(&p->demand, sched->now);
    struct demand d = p->demand;
    if (d.peak < p->lent) { /* old connections count as much as new ones */
        d.peak = p->lent;
        d.since = d.asked_at = sched->now;
        demand_note_alone(&d, p->lent_alone);
    }
    return d;
}

static uint32_t count_tunnels(struct connector *c, const char *pod_key)
{
    const struct pod *p = pod_find(c, pod_key);
    return p ? p->count : 0;
}

static void prewarm(struct connector *c, const char *pod_key)
{
    struct pod *p = pod_find(c, pod_key);

    if (!p || list_empty(&p->tunnels))
        return;
    p->prewarms = true;
    dialling_ahead(p);
}

static void make_room(struct connector *c, const char *pod_key)
{
    const struct pod *p = pod_find(c, pod_key);

    if (p && !p->dialling)
        prewarm(c, pod_key);
}

static void expect(struct connector *c, const struct endpoint *endpoint, uint32_t at_once,
                   const struct demand *of)
{
    struct pod *p = pod_get(tunnels_of(c), endpoint);

    demand_expect(&p->demand, at_once, of);
    dialling_ahead(p);
    drop_if_unused(p);
}

static void retire_open(struct pod *p)
{
    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        if (t->state == TUNNEL_OPEN)
            tunnel_retire(t);
    }
}

static void retire_in(struct pod *p, uint64_t unused)
{
    (void)unused;
    retire_open(p);
}

void tunnels_on_new_identity(const struct tunnel_origin *o)
{
    struct tunnels *ts =
        container_of((struct tunnel_origin *)(uintptr_t)o, struct tunnels, origin);

    log_info(NO_ID,
             "the client certificate changed: tunnels close with their last connection",
             LOG_U("tunnels", ts->live));
    tunnels_each_pod(ts, retire_in, 0);
}

void pod_on_sandbox_gone(struct pod *p)
{
    p->ahead_after = UINT64_MAX; /* until somebody's dial succeeds */
    retire_open(p);
}

static void retire_tunnels(struct connector *c, const char *pod_key)
{
    struct pod *p = pod_find(c, pod_key);
    if (!p)
        return;
    p->gone = true;
    if (!p->removal && !list_empty(&p->tunnels))
        p->removal = pod_removal_create(p);
    retire_open(p);
}

void pod_close_tunnels(struct pod *p, enum err e, const char *why)
{
    for (uint32_t left = p->count; left; left--)
        tunnel_close(list_first(&p->tunnels, struct tunnel, in_pod), e, why);
}

static void expire_in(struct pod *p, uint64_t idle_ms)
{
    uint64_t now = p->owner->sched->now;
    if (p->count == 0) {
        if (p->failing.count && !dialling_is_failing(p))
            dialling_log_end(p, false);
        drop_if_unused(p);
        return;
    }
    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        if (t->state != TUNNEL_OPEN || tunnel_in_use(t) || now - t->used_at < idle_ms)
            continue;
        metric_add_for(&metric_expired, p->owner->settings.cluster, 0, 1);
        if (p->count == 1) { /* p goes with its last tunnel */
            tunnel_close(t, ERR_CANCELLED, "idle");
            return;
        }
        tunnel_close(t, ERR_CANCELLED, "idle");
    }
}

static void on_check(struct timer *timer)
{
    struct tunnels *ts = container_of(timer, struct tunnels, check);
    tunnels_each_pod(ts, expire_in, ts->settings.idle_ms);
    timer_set(&ts->check, ts->settings.check_ms);
}

static bool lacks_credentials(struct connector *c, struct diag *why)
{
    return credentials_are_missing(api_credentials(tunnels_of(c)->origin.api), why);
}

static const char *credential_words(struct connector *c)
{
    return credentials_words(api_credentials(tunnels_of(c)->origin.api));
}

static const struct connector_ops tunnel_connector = {
    .name = "tunnel",
    .open = open_connection,
    .cancel = cancel_opening,
    .progresses = opening_waits_its_turn,
    .has_room = has_room,
    .carries_much = carries_much,
    .count = count_tunnels,
    .demand = recent_demand,
    .expect = expect,
    .prewarm = prewarm,
    .make_room = make_room,
    .retire = retire_tunnels,
    .lacks_credentials = lacks_credentials,
    .credential_words = credential_words,
};

struct connector *tunnels_connector(struct tunnels *ts)
{
    return &ts->connector;
}

static void probe_in(struct pod *p, uint64_t unused)
{
    (void)unused;
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        tunnel_probe(t);
}

void tunnels_probe(struct tunnels *ts, const char *why)
{
    if (ts->live)
        log_info(CLUSTER_ID(ts->settings.cluster), "probing every tunnel",
                 LOG_S("reason", why), LOG_U("tunnels", ts->live));
    tunnels_each_pod(ts, probe_in, 0);
}

static void retire_all_in(struct pod *p, uint64_t unused)
{
    (void)unused;
    cancel_waiting(p);
    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        bool last = p->count == 1;
        if (t->state != TUNNEL_OPEN || (!tunnel_in_use(t) && tunnel_has_delivered(t)))
            tunnel_close(t, ERR_CANCELLED, "shutting down");
        else
            tunnel_retire(t);
        if (last)
            return;
    }
}

void tunnels_drain(struct tunnels *ts, struct task *done)
{
    ts->draining = true;
    ts->drained = done;
    tunnels_each_pod(ts, retire_all_in, 0);
    if (ts->live == 0)
        task_wake(done);
}

bool tunnels_idle(const struct tunnels *ts)
{
    return ts->live == 0;
}

/* Gateways know WebSocket; plain API servers take either, and SPDY is cheaper. */
static enum transport usual_transport(const struct kube_target *target,
                                      const struct tunnel_settings *s)
{
    bool gateway = target->prefix[0] || (target->proxy && target->proxy[0]);
    if (s->transport == TUNNEL_TRANSPORT_AUTO)
        return gateway ? TRANSPORT_KIND_WEBSOCKET : TRANSPORT_KIND_SPDY;
    return s->transport == TUNNEL_TRANSPORT_SPDY ? TRANSPORT_KIND_SPDY
                                                 : TRANSPORT_KIND_WEBSOCKET;
}

static void register_metrics(void)
{
    metrics_register(&metric_live);
    metrics_register(&metric_connections);
    metrics_register(&metric_expired);
}

enum err tunnels_create(struct loop *loop, struct transfers *transfers, struct api *api,
                        const struct tunnel_settings *settings, struct tunnels **ret,
                        struct diag *why)
{
    struct tunnels *ts = xcalloc(1, sizeof(*ts));

    register_metrics();
    dialling_register_metrics();
    ts->connector.ops = &tunnel_connector;
    ts->settings = *settings;
    if (!ts->settings.last_id)
        ts->settings.last_id = &ts->last_id;
    ts->sched = loop_sched(loop);
    ts->transports.usual = usual_transport(api_target(api), settings);
    ts->origin = (struct tunnel_origin){ .loop = loop,
                                         .transfers = transfers,
                                         .api = api,
                                         .tls = &ts->tls,
                                         .settings = &ts->settings,
                                         .transports = &ts->transports,
                                         .kept_for_slow = &ts->kept_for_slow };
    map_init(&ts->pods);
    map_init(&ts->nodes);
    list_init(&ts->blocked);
    shortage_init(ts);
    timer_init(&ts->check, ts->sched, on_check);
    timer_set(&ts->check, settings->check_ms);
    (void)why; /* certificates were read with the kubeconfig */
    if (settings->connect_ahead)
        ts->origin.prewarmed = prewarmed_connection_create(&ts->origin);
    *ret = ts;
    return OK;
}

static void close_all_in(struct pod *p, uint64_t unused)
{
    (void)unused;
    cancel_waiting(p);
    if (p->count == 0)
        drop_if_unused(p);
    else
        pod_close_tunnels(p, ERR_CANCELLED, "shutting down");
}

void tunnels_destroy(struct tunnels *ts)
{
    if (!ts)
        return;
    ts->draining = true;
    ts->drained = NULL;
    tunnels_each_pod(ts, close_all_in, 0);
    timer_stop(&ts->check);
    shortage_finish(ts);
    prewarmed_connection_destroy(ts->origin.prewarmed);
    map_finish(&ts->pods);
    map_finish(&ts->nodes);
    tls_context_unref(ts->tls);
    free(ts);
}
