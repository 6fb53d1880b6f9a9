/* tunnel/dialling.c - how many tunnels there should be to a pod
 *
 * Openings that wait: there are enough dials for all of them, up to the node's limit.
 *
 * After a failure this pod is not dialled for a while (backoff.h), and no pod at all if the
 * API server sent no response.  An opening in that time fails at once with the last error, and
 * upstream/ retries: an outage causes a few dials a second, however many requests wait.
 *
 * Prewarmed tunnels: for each pod, demand.h has the recent peak of simultaneous connections,
 * and wants tunnels for a few more while the peak rises.  Missing tunnels are dialled in the
 * background: when there is a new peak, when a tunnel is lost or retires, when upstream/
 * expects this pod to replace another.  Waiting openings have priority: a tunnel is prewarmed
 * only while no opening lacks a dial, at most half of the node's dials are under way, and
 * fewer than PREWARM_DIALS of all nodes.  After a loss one tunnel is dialled first, and the
 * others once that is open.  A failed dial stops prewarming for a second, then two, up to a
 * minute; a refusal (401, 403, 404, 429) stops it until a dial for an opening has succeeded.
 * A prewarmed tunnel counts as last used when its pod was, so it expires with the others.
 * Tunnels that have expired, or were closed with an aborted connection, are not replaced.
 */
#include "tunnel/dialling.h"

#include "base/log.h"
#include "base/metrics.h"
#include "tunnel/placing.h"
#include "tunnel/shortage.h"
#include "tunnel/waiting.h"

LOG_MODULE(tunnel);

#define PREWARM_DIALS 8 /* no tunnel is prewarmed while this many dials are under way */
#define PREWARM_TUNNELS 32 /* a pod with this many tunnels gets no prewarmed one */
#define PREWARM_PAUSE_MS 1000u
#define PREWARM_PAUSE_MAX_MS 60000u

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
    p->counts.coming += mux_capacity(&t->mux);
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

/* Does an opening that needs an own tunnel, and may get one, wait without a dial for it? */
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
    shortage_check(p);
}

/* After a loss the pod may be gone although the catalog still has it.  Is a dial under way
 * that will show it? */
static bool awaits_dial_after_loss(const struct pod_tunnels *p)
{
    return p->lost && p->counts.coming;
}

static bool may_prewarm(const struct pod_tunnels *p)
{
    const struct tunnels *ts = p->owner;
    uint64_t now = ts->sched->now;

    return ts->settings.dial_ahead && !ts->draining && !p->gone && !dialling_forbids(p) &&
           now >= p->prewarm_after && !lacks_dials(p) && !awaits_dial_after_loss(p);
}

static bool has_free_dials(const struct tunnels *ts, const struct node *n)
{
    uint32_t half = (ts->settings.dials_max + 1) / 2;
    return ts->dialling < PREWARM_DIALS && n->dials < half;
}

/* Does a pod in use lack its settings.prewarmed tunnels beside the first? */
static bool lacks_prewarmed(const struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    return p->prewarms && p->counts.all <= s->prewarmed && p->counts.all < s->tunnels_max;
}

static bool wants_prewarmed(struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;

    if (lacks_prewarmed(p))
        return true;
    if (p->counts.open + p->counts.coming >= p->usage.demand.wanted)
        return false;
    demand_decay(&p->usage.demand, p->owner->sched->now);
    return p->counts.open + p->counts.coming < p->usage.demand.wanted &&
           p->counts.all < PREWARM_TUNNELS && p->counts.all < s->tunnels_max;
}

/* Should the next prewarmed tunnel be an own one?  In proportion to the recent connections
 * that needed one, and own_brief_max more. */
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

void dialling_prewarm(struct pod_tunnels *p)
{
    if (!list_empty(&p->ahead))
        list_remove(&p->ahead);
    if (!may_prewarm(p))
        return;
    while (wants_prewarmed(p) && !awaits_dial_after_loss(p)) {
        if (!has_free_dials(p->owner, p->node)) {
            wait_for_free_dial(p);
            return;
        }
        metric_add_for(&metric_ahead, p->owner->settings.cluster, 0, 1);
        dial(p, !is_next_prewarmed_own(p));
    }
}

/* Terminates because dialling_for_waiting takes the pod off the list, and puts it back only if
 * the node has no dial left. */
static void dial_for_lacking(struct tunnels *ts, struct node *n)
{
    while (n->dials < ts->settings.dials_max && !list_empty(&n->lacking))
        dialling_for_waiting(list_first(&n->lacking, struct pod_tunnels, lacking));
}

static void prewarm_on(struct tunnels *ts, struct node *n)
{
    while (has_free_dials(ts, n) && !list_empty(&n->ahead))
        dialling_prewarm(list_first(&n->ahead, struct pod_tunnels, ahead));
    if (list_empty(&n->ahead))
        list_remove(&n->in_blocked);
}

void dialling_next(struct tunnels *ts, struct node *n)
{
    dial_for_lacking(ts, n);
    list_for_each (other, &ts->blocked, struct node, in_blocked) {
        if (ts->dialling >= PREWARM_DIALS)
            return;
        prewarm_on(ts, other);
    }
}

void dialling_on_end(struct pod_tunnels *p, const struct tunnel *t)
{
    count_dial(p, -1);
    p->counts.coming -= mux_capacity(&t->mux);
    p->counts.coming_own -= !tunnel_is_shared(t);
}

void dialling_on_open(struct pod_tunnels *p, const struct tunnel *t)
{
    const struct tunnels *ts = p->owner;
    uint16_t cluster = ts->settings.cluster;

    dialling_on_end(p, t);
    p->counts.open += mux_capacity(&t->mux);
    failure_log_end(&p->failures, true, ts->sched->now);
    p->opened_at = ts->sched->now;
    backoff_on_success(&p->backoff, ts->sched);
    backoff_on_success(&p->owner->backoff, ts->sched);
    p->prewarm_after = 0;
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
    uint64_t pause = failures < 6 ? PREWARM_PAUSE_MS << failures : PREWARM_PAUSE_MAX_MS;
    bool refused = dialling_is_final(error) || error->code == ERR_THROTTLED;

    metric_add_for(&metric_dials, ts->settings.cluster, 1, 1);
    if (silent)
        backoff_on_shared_failure(&ts->backoff, ts->sched, error);
    backoff_on_failure(&p->backoff, ts->sched, error);
    failure_log_add(&p->failures, error, ts->sched->now);
    p->prewarm_after = refused ? UINT64_MAX : ts->sched->now + pause;
}

/* A proxy that accepts connections and drops them would otherwise cause prewarming dials
 * without a pause. */
void dialling_on_loss(struct pod_tunnels *p, uint64_t lived_ms)
{
    p->lost = true;
    if (lived_ms < PREWARM_PAUSE_MS && p->prewarm_after < UINT64_MAX)
        p->prewarm_after = p->owner->sched->now + PREWARM_PAUSE_MS;
}

void dialling_register_metrics(void)
{
    metrics_register(&metric_live);
    metrics_register(&metric_dials);
    metrics_register(&metric_transports);
    metrics_register(&metric_dial_time);
    metrics_register(&metric_ahead);
}
