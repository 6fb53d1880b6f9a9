/* tunnel/dialling.c - how many tunnels there should be to a pod
 *
 * For openings that wait: enough for all of them, up to the node's limit.
 *
 * After a failure nothing is dialled for a while (backoff.h): not this pod, and no pod at all
 * where the API server gave no answer.  An opening that comes meanwhile fails at once with
 * the last reason, and upstream/ tries again: an outage costs a few dials a second, however
 * many requests wait.
 *
 * Prewarmed tunnels: per pod, demand.h remembers how many connections at once there were
 * lately, and wants tunnels for a few more while that rises.  What is missing is dialled in
 * the background: when a record is set, when a tunnel is lost or worn out, when upstream/
 * expects this pod to take another's place.  Waiting openings come first: a tunnel is dialled
 * ahead only while no opening lacks a dial, and while half of the node's dials and few of all
 * are under way; of what was lost together one first.  A failure stops it for a second, then
 * two, up to a minute; a refusal (401, 403, 404, 429) until a dial for an opening has
 * succeeded.  A prewarmed tunnel counts as used when the pod was last used, so it expires with
 * the others.  What has expired, or was given up with its connection, is not wanted any more.
 */
#include "tunnel/dialling.h"

#include "base/log.h"
#include "base/metrics.h"
#include "tunnel/placing.h"
#include "tunnel/shortage.h"
#include "tunnel/waiting.h"

LOG_MODULE(tunnel);

#define AHEAD_DIALS 8    /* under way in all, or prewarmed ones wait */
#define AHEAD_TUNNELS 32 /* of a pod: none is dialled ahead beyond */
#define AHEAD_PAUSE_MS 1000u
#define AHEAD_PAUSE_MAX_MS 60000u

static struct metric metric_live = {
    .name = "kube_tunnel_tunnels",
    .help = "Tunnels that are open or being dialled.",
    .type = METRIC_GAUGE,
};
static struct metric metric_dials = {
    .name = "kube_tunnel_dials_total",
    .help = "Port-forwards dialled, by result.",
    .type = METRIC_COUNTER,
    .label = "result",
    .values = { "ok", "failed" },
};
static struct metric metric_transports = {
    .name = "kube_tunnel_tunnels_opened_total",
    .help = "Tunnels opened, by transport.",
    .type = METRIC_COUNTER,
    .label = "transport",
    .values = { "spdy", "websocket" },
};
static struct metric metric_dial_time = {
    .name = "kube_tunnel_dial_seconds",
    .help = "Time from the first packet of a dial to the open tunnel.",
    .type = METRIC_HISTOGRAM,
};
static struct metric metric_ahead = {
    .name = "kube_tunnel_prewarmed_dials_total",
    .help = "Port-forwards dialled for prewarmed tunnels; also counted in "
            "kube_tunnel_dials_total.",
    .type = METRIC_COUNTER,
};

static void count_dial(struct pod_tunnels *p, int change)
{
    p->node->dials += (uint32_t)change;
    p->counts.dialling += (uint32_t)change;
    p->owner->dialling += (uint32_t)change;
}

void dialling_count_live(struct tunnels *ts, int change)
{
    ts->live += (size_t)change;
    metric_add_for(&metric_live, ts->settings.cluster, 0, change);
    if (ts->draining && ts->live == 0)
        task_wake(ts->drained);
}

static void dial(struct pod_tunnels *p, bool shared)
{
    struct tunnels *ts = p->owner;
    struct log_id id = { .kind = 't',
                         .cluster = ts->settings.cluster,
                         .number = ++*ts->settings.last_id };
    struct tunnel *t = tunnel_create(&ts->origin, &p->tunnel_owner, id, shared);

    list_append(&p->tunnels, &t->in_pod);
    list_append(&p->with_room, &t->in_room);
    count_dial(p, +1);
    p->counts.coming += mux_carries(&t->mux);
    p->counts.coming_own += !shared;
    p->counts.all++;
    p->counts.own += !shared;
    dialling_count_live(ts, +1);
    log_debug(id, "dialling", LOG_S("pod", p->label),
              LOG_S("tunnel", shared ? "shared" : "own"));
}

const struct api_error *dialling_forbids(const struct pod_tunnels *p)
{
    const struct tunnels *ts = p->owner;
    const struct api_error *reason = backoff_reason(&p->backoff, ts->sched);

    return reason ? reason : backoff_reason(&ts->backoff, ts->sched);
}

/* An opening that wants to be alone, and may be, has no dial of its own under way. */
static bool lacks_own_dial(const struct pod_tunnels *p)
{
    return p->usage.waiting_alone > p->counts.coming_own && placing_may_own_more(p, true);
}

static bool lacks_dials(const struct pod_tunnels *p)
{
    return p->counts.coming < p->usage.waiters || lacks_own_dial(p);
}

void dialling_for_waiting(struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    const struct api_error *forbidden = dialling_forbids(p);

    if (forbidden && !p->counts.coming)
        waiting_fail_all(p, forbidden);
    list_remove(&p->lacking);
    if (p->owner->draining || forbidden)
        return;
    while (lacks_dials(p) && p->node->dials < s->dials_max &&
           p->counts.all < s->tunnels_max)
        dial(p, !lacks_own_dial(p) && !placing_may_own_more(p, false));
    if (lacks_dials(p) && p->node->dials >= s->dials_max)
        list_append(&p->node->lacking, &p->lacking);
    shortage_look(p);
}

/* The pod may be gone before the catalog knows it: one dial shows it. */
static bool is_tried(const struct pod_tunnels *p)
{
    return p->lost && p->counts.coming;
}

/* For openings that may come. */
static bool may_dial_ahead(const struct pod_tunnels *p)
{
    const struct tunnels *ts = p->owner;
    uint64_t now = ts->sched->now;

    return ts->settings.dial_ahead && !ts->draining && !p->gone && !dialling_forbids(p) &&
           now >= p->ahead_after && !lacks_dials(p) && !is_tried(p);
}

static bool has_free_dials(const struct tunnels *ts, const struct node *n)
{
    uint32_t half = (ts->settings.dials_max + 1) / 2;
    return ts->dialling < AHEAD_DIALS && n->dials < half;
}

/* A pod that is in use has one more than it needs: what comes at once needs no dial then. */
static bool lacks_prewarmed(const struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    return p->prewarms && p->counts.all <= s->prewarmed && p->counts.all < s->tunnels_max;
}

static bool wants_dial_ahead(struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;

    if (lacks_prewarmed(p))
        return true;
    if (p->counts.open + p->counts.coming >= p->usage.demand.wanted)
        return false;
    demand_decay(&p->usage.demand, p->owner->sched->now);
    return p->counts.open + p->counts.coming < p->usage.demand.wanted &&
           p->counts.all < AHEAD_TUNNELS && p->counts.all < s->tunnels_max;
}

/* As the connections were lately: those that wanted to be alone, and a few requests. */
static bool is_next_prewarmed_own(const struct pod_tunnels *p)
{
    uint32_t alone = p->usage.demand.alone + DEMAND_PREWARMED(p->usage.demand.alone);
    bool wanted = alone && p->counts.own < alone + p->owner->settings.own_brief_max;

    return placing_may_own_more(p, false) || (wanted && placing_may_own_more(p, true));
}

static void wait_for_free_dial(struct pod_tunnels *p)
{
    list_append(&p->node->ahead, &p->ahead);
    if (list_empty(&p->node->in_blocked))
        list_append(&p->owner->blocked, &p->node->in_blocked);
}

void dialling_ahead(struct pod_tunnels *p)
{
    if (!list_empty(&p->ahead))
        list_remove(&p->ahead);
    if (!may_dial_ahead(p))
        return;
    while (wants_dial_ahead(p) && !is_tried(p)) {
        if (!has_free_dials(p->owner, p->node)) {
            wait_for_free_dial(p);
            return;
        }
        metric_add_for(&metric_ahead, p->owner->settings.cluster, 0, 1);
        dial(p, !is_next_prewarmed_own(p));
    }
}

/* Each pod that gets a look either takes a dial or lacks none. */
static void dial_for_lacking(struct tunnels *ts, struct node *n)
{
    while (n->dials < ts->settings.dials_max && !list_empty(&n->lacking))
        dialling_for_waiting(list_first(&n->lacking, struct pod_tunnels, lacking));
}

static void dial_ahead_on(struct tunnels *ts, struct node *n)
{
    while (has_free_dials(ts, n) && !list_empty(&n->ahead))
        dialling_ahead(list_first(&n->ahead, struct pod_tunnels, ahead));
    if (list_empty(&n->ahead))
        list_remove(&n->in_blocked);
}

void dialling_next(struct tunnels *ts, struct node *n)
{
    dial_for_lacking(ts, n);
    list_for_each (other, &ts->blocked, struct node, in_blocked) {
        if (ts->dialling >= AHEAD_DIALS)
            return;
        dial_ahead_on(ts, other);
    }
}

void dialling_on_end(struct pod_tunnels *p, const struct tunnel *t)
{
    count_dial(p, -1);
    p->counts.coming -= mux_carries(&t->mux);
    p->counts.coming_own -= !tunnel_is_shared(t);
}

void dialling_on_open(struct pod_tunnels *p, const struct tunnel *t)
{
    const struct tunnels *ts = p->owner;
    uint16_t cluster = ts->settings.cluster;

    dialling_on_end(p, t);
    p->counts.open += mux_carries(&t->mux);
    failure_log_end(&p->failures, true, ts->sched->now);
    p->opened_at = ts->sched->now;
    backoff_on_success(&p->backoff, ts->sched);
    backoff_on_success(&p->owner->backoff, ts->sched);
    p->ahead_after = 0;
    p->lost = false;
    metric_add_for(&metric_dials, cluster, 0, 1);
    metric_add_for(&metric_transports, cluster, t->dial.transport, 1);
    metric_observe_ms_for(&metric_dial_time, cluster, t->opened_at - t->dial.started_at);
}

bool dialling_is_final(const struct api_error *e)
{
    return e->is_status && (e->code == ERR_NOT_FOUND || e->code == ERR_FORBIDDEN ||
                            e->code == ERR_UNAUTHORIZED);
}

void dialling_on_failure(struct pod_tunnels *p, const struct api_error *error,
                         bool silent)
{
    struct tunnels *ts = p->owner;
    uint32_t failures = p->backoff.failures;
    uint64_t pause = failures < 6 ? AHEAD_PAUSE_MS << failures : AHEAD_PAUSE_MAX_MS;
    bool refused = dialling_is_final(error) || error->code == ERR_THROTTLED;

    metric_add_for(&metric_dials, ts->settings.cluster, 1, 1);
    if (silent)
        backoff_on_shared_failure(&ts->backoff, ts->sched, error);
    backoff_on_failure(&p->backoff, ts->sched, error);
    failure_log_add(&p->failures, error, ts->sched->now);
    p->ahead_after = refused ? UINT64_MAX : ts->sched->now + pause;
}

/* A relay on the way that accepts connections and drops them would be dialled ahead without
 * a pause. */
void dialling_on_loss(struct pod_tunnels *p, uint64_t lived_ms)
{
    p->lost = true;
    if (lived_ms < AHEAD_PAUSE_MS && p->ahead_after < UINT64_MAX)
        p->ahead_after = p->owner->sched->now + AHEAD_PAUSE_MS;
}

void dialling_register_metrics(void)
{
    metrics_register(&metric_live);
    metrics_register(&metric_dials);
    metrics_register(&metric_transports);
    metrics_register(&metric_dial_time);
    metrics_register(&metric_ahead);
}
