/* tunnel/tunnels.c - all tunnels through one API server, as a connector
 *
 * Has the periodic check for idle tunnels, draining and liveness checks of all tunnels; pods.c
 * has the tunnels of each pod.
 */
#include "tunnel/tunnels.h"

#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/dialling.h"
#include "tunnel/pods.h"
#include "tunnel/prewarmed_connection.h"
#include "tunnel/shortage.h"

LOG_MODULE(tunnel);

#define OPENING_PROGRESS_MS 1000

static struct metric metric_expired = {
    .name = "kube_tunnel_tunnels_expired_total",
    .help = "Tunnels closed because they were idle.",
    .type = METRIC_COUNTER,
};

/* ---- connector_ops ---- */

static struct tunnels *tunnels_of(struct connector *c)
{
    return container_of(c, struct tunnels, connector);
}

static struct pod_tunnels *find_pod(struct connector *c, const char *pod_key)
{
    return map_get(&tunnels_of(c)->pods, str_of(pod_key));
}

static void open_connection(struct connector *c, const struct endpoint *endpoint,
                            struct opening *o)
{
    pods_open(pods_get(tunnels_of(c), endpoint), endpoint, o);
}

static bool opening_waits_its_turn(const struct opening *o)
{
    const struct pod_tunnels *p = o->private;

    return o->result == ERR_AGAIN && p->opened_at &&
           p->owner->sched->now - p->opened_at < OPENING_PROGRESS_MS;
}

static bool has_room(struct connector *c, const char *pod_key, uint16_t port)
{
    struct pod_tunnels *p = find_pod(c, pod_key);
    return p && pods_have_room(p, port);
}

static bool has_large_transfers(struct connector *c, const char *pod_key)
{
    struct pod_tunnels *p = find_pod(c, pod_key);
    return p && p->owner->settings.coalesce && !coalesce_applies(p);
}

static struct demand recent_demand(struct connector *c, const char *pod_key)
{
    uint64_t now = tunnels_of(c)->sched->now;
    struct pod_tunnels *p = find_pod(c, pod_key);
    struct demand none = { 0 };

    if (!p)
        return none;
    demand_decay(&p->usage.demand, now);
    struct demand d = p->usage.demand;
    if (d.peak < p->usage.lent) { /* the peak has decayed below the connections in use */
        d.peak = p->usage.lent;
        d.since = d.last_opening_at = now;
        demand_note_alone(&d, p->usage.lent_alone);
    }
    return d;
}

static uint32_t count_tunnels(struct connector *c, const char *pod_key)
{
    const struct pod_tunnels *p = find_pod(c, pod_key);
    return p ? p->counts.all : 0;
}

static void prewarm(struct connector *c, const char *pod_key)
{
    struct pod_tunnels *p = find_pod(c, pod_key);

    if (!p || list_empty(&p->tunnels))
        return;
    p->prewarms = true;
    dialling_prewarm(p);
}

static void make_room(struct connector *c, const char *pod_key)
{
    const struct pod_tunnels *p = find_pod(c, pod_key);

    if (p && !p->counts.dialling)
        prewarm(c, pod_key);
}

static void expect(struct connector *c, const struct endpoint *endpoint, uint32_t at_once,
                   const struct demand *of)
{
    struct pod_tunnels *p = pods_get(tunnels_of(c), endpoint);

    demand_expect(&p->usage.demand, at_once, of);
    dialling_prewarm(p);
    pods_drop_if_unused(p);
}

static void retire_tunnels(struct connector *c, const char *pod_key)
{
    struct pod_tunnels *p = find_pod(c, pod_key);
    if (p)
        pods_retire(p);
}

static bool lacks_credentials(struct connector *c, struct diag *why)
{
    return credentials_are_missing(api_credentials(tunnels_of(c)->origin.api), why);
}

static const char *plugin_output(struct connector *c)
{
    return credentials_plugin_output(api_credentials(tunnels_of(c)->origin.api));
}

static const struct connector_ops tunnel_connector = {
    .open = open_connection,
    .cancel = pods_cancel,
    .progresses = opening_waits_its_turn,
    .has_room = has_room,
    .has_large_transfers = has_large_transfers,
    .count = count_tunnels,
    .demand = recent_demand,
    .expect = expect,
    .prewarm = prewarm,
    .make_room = make_room,
    .retire = retire_tunnels,
    .lacks_credentials = lacks_credentials,
    .plugin_output = plugin_output,
};

struct connector *tunnels_connector(struct tunnels *ts)
{
    return &ts->connector;
}

/* ---- all pods ---- */

static void on_new_identity(struct tunnel_origin *o)
{
    struct tunnels *ts = container_of(o, struct tunnels, origin);

    log_info(NO_ID,
             "the client certificate changed: tunnels close with their last connection",
             LOG_U("tunnels", ts->live));
    pods_each(ts, pods_retire_open);
}

static void forget_if_unused(struct pod_tunnels *p)
{
    uint64_t now = p->owner->sched->now;

    if (p->failures.count && !failure_log_goes_on(&p->failures, now))
        failure_log_end(&p->failures, false, now);
    pods_drop_if_unused(p);
}

static void expire_in(struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    uint64_t now = p->owner->sched->now;

    if (p->counts.all == 0) {
        forget_if_unused(p);
        return;
    }
    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        bool last = p->counts.all == 1; /* closing the last tunnel frees p */
        if (t->state != TUNNEL_OPEN || mux_in_use(&t->mux) ||
            now - t->mux.used_at < s->idle_ms)
            continue;
        metric_add_for(&metric_expired, s->cluster, 0, 1);
        tunnel_close(t, ERR_CANCELLED, "idle");
        if (last)
            return;
    }
}

static void on_check(struct timer *timer)
{
    struct tunnels *ts = container_of(timer, struct tunnels, check);
    pods_each(ts, expire_in);
    timer_set(&ts->check, ts->settings.check_ms);
}

static void check_liveness_in(struct pod_tunnels *p)
{
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        if (t->state == TUNNEL_OPEN)
            mux_check_liveness(&t->mux);
}

void tunnels_check(struct tunnels *ts, const char *why)
{
    if (ts->live)
        log_info(CLUSTER_ID(ts->settings.cluster), "checking every tunnel",
                 LOG_S("reason", why), LOG_U("tunnels", ts->live));
    pods_each(ts, check_liveness_in);
}

static void drain_in(struct pod_tunnels *p)
{
    pods_cancel_all(p);
    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        bool last = p->counts.all == 1;
        if (t->state != TUNNEL_OPEN ||
            (!mux_in_use(&t->mux) && mux_has_delivered(&t->mux)))
            tunnel_close(t, ERR_CANCELLED, "shutting down");
        else
            mux_retire(&t->mux);
        if (last)
            return;
    }
}

void tunnels_drain(struct tunnels *ts, struct task *done)
{
    ts->draining = true;
    ts->drained = done;
    pods_each(ts, drain_in);
    if (ts->live == 0)
        task_wake(done);
}

bool tunnels_idle(const struct tunnels *ts)
{
    return ts->live == 0;
}

/* ---- create and destroy ---- */

static void register_metrics(void)
{
    dialling_register_metrics();
    pods_register_metrics();
    metrics_register(&metric_expired);
}

enum err tunnels_create(struct loop *loop, struct transfers *transfers, struct api *api,
                        const struct tunnel_settings *settings, struct tunnels **ret,
                        struct diag *why)
{
    struct tunnels *ts = xcalloc(1, sizeof(*ts));

    register_metrics();
    ts->connector.ops = &tunnel_connector;
    ts->settings = *settings;
    if (!ts->settings.last_id)
        ts->settings.last_id = &ts->last_id;
    ts->sched = loop_sched(loop);
    origin_init(&ts->origin, loop, transfers, api, &ts->settings);
    ts->origin.on_new_identity = on_new_identity;
    map_init(&ts->pods);
    map_init(&ts->nodes);
    list_init(&ts->blocked);
    shortage_init(ts);
    timer_init(&ts->check, ts->sched, on_check);
    timer_set(&ts->check, settings->check_ms);
    (void)why; /* no failure is possible: certificates were read with the kubeconfig */
    if (settings->connect_ahead)
        ts->origin.prewarmed = prewarmed_connection_create(&ts->origin);
    *ret = ts;
    return OK;
}

void tunnels_configure(struct tunnels *ts, const struct tunnel_settings *settings)
{
    struct tunnel_settings fresh = *settings;
    bool other_check = fresh.check_ms != ts->settings.check_ms;

    fresh.connect_ahead = ts->settings.connect_ahead;
    fresh.room = ts->settings.room;
    fresh.cluster = ts->settings.cluster;
    fresh.last_id = ts->settings.last_id;
    ts->settings = fresh;
    origin_configure(&ts->origin);
    if (other_check)
        timer_set(&ts->check, fresh.check_ms);
}

static void close_all_in(struct pod_tunnels *p)
{
    pods_cancel_all(p);
    if (p->counts.all == 0)
        pods_drop_if_unused(p);
    else
        pods_close_tunnels(p, ERR_CANCELLED, "shutting down");
}

void tunnels_destroy(struct tunnels *ts)
{
    if (!ts)
        return;
    ts->draining = true;
    ts->drained = NULL;
    pods_each(ts, close_all_in);
    timer_stop(&ts->check);
    shortage_finish(ts);
    prewarmed_connection_destroy(ts->origin.prewarmed);
    map_finish(&ts->pods);
    map_finish(&ts->nodes);
    origin_finish(&ts->origin);
    free(ts);
}

/* ---- status ---- */

static const char *state_text(const struct tunnel *t)
{
    if (t->state == TUNNEL_DIALLING)
        return "dialling";
    if (t->state == TUNNEL_CLOSED)
        return "closed";
    return t->mux.retired ? "retired" : "open";
}

static struct tunnel_status status_of(const struct pod_tunnels *p, const struct tunnel *t)
{
    bool open = t->state == TUNNEL_OPEN;
    struct tunnel_status s = { .id = t->id,
                               .ns = p->ns,
                               .pod = p->name,
                               .state = state_text(t),
                               .shared = tunnel_is_shared(t) };

    if (!open)
        return s;
    s.transport = transport_name(t->dial.transport);
    s.age_ms = p->owner->sched->now - t->opened_at;
    list_for_each (pair, &t->mux.pairs, struct pair, in_owner)
        *(pair->lent ? &s.lent : &s.idle) += 1;
    return s;
}

void tunnels_each(const struct tunnels *ts,
                  void (*each)(void *owner, const struct tunnel_status *), void *owner)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&ts->pods, &at));) {
        const struct pod_tunnels *p = e->value;
        list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
            const struct tunnel_status s = status_of(p, t);
            each(owner, &s);
        }
    }
}
