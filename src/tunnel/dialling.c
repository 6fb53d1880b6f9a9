/* tunnel/dialling.c - how many tunnels there should be to a pod
 *
 * For those who wait: enough for all of them, up to the node's limit.
 *
 * After a failure nobody dials for a while: not this pod, and nobody at all where the API
 * server gave no answer.  Each time twice as long, up to half a second, and a little by
 * chance.  Who comes meanwhile is told the last reason at once, and is upstream/'s to try
 * again: an outage costs a few dials a second, however many requests wait.
 *
 * Spares: per pod, demand.h remembers how many connections at once there were lately, and
 * wants tunnels for a few more while that rises.  What is missing is dialled in the
 * background: when a record is set, when a tunnel is lost or worn out, when upstream/
 * expects this pod to take another's place.  Who waits comes first: a spare is dialled
 * only while nobody lacks a dial, and while half of the node's dials and few of all are
 * under way; of what was lost together one first.  A failure stops it for a second, then
 * two, up to a minute; a refusal (401, 403, 404, 429) until a dial that somebody needed
 * has succeeded.  A spare counts as used when the pod was last asked for, so it expires
 * with the others.  What has expired, or was given up with its connection, is not wanted
 * any more.
 */
#include "tunnel/dialling.h"

#include "base/log.h"
#include "base/metrics.h"

LOG_MODULE(tunnel);

#define AHEAD_DIALS 8    /* under way in all, or spares wait */
#define AHEAD_TUNNELS 32 /* of a pod: no spare beyond */
#define BACKOFF_MS 50u
#define BACKOFF_MAX_MS 400u
#define ROW_MS 5000 /* failures that lie farther apart are logged one by one */
#define RETRY_AFTER_MAX_MS 30000u
#define AHEAD_PAUSE_MS 1000u
#define AHEAD_PAUSE_MAX_MS 60000u

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

static void count_dial(struct pod *p, int change)
{
    p->node->dials += (uint32_t)change;
    p->dialling += (uint32_t)change;
    p->owner->dialling += (uint32_t)change;
}

static void dial(struct pod *p, bool shared)
{
    struct tunnels *ts = p->owner;
    struct log_id id = { .kind = 't',
                         .cluster = ts->settings.cluster,
                         .number = ++*ts->settings.last_id };
    struct tunnel *t = tunnel_create(&ts->origin, p, id, shared);

    list_append(&p->tunnels, &t->in_pod);
    list_append(&p->with_room, &t->in_room);
    count_dial(p, +1);
    p->coming += tunnel_carries(t);
    p->coming_own += !shared;
    p->count++;
    p->own += !shared;
    tunnels_count(ts, +1);
    log_debug(id, "dialling", LOG_S("pod", p->label),
              LOG_S("tunnel", shared ? "shared" : "own"));
}

const struct api_error *dialling_forbids(const struct pod *p)
{
    const struct tunnels *ts = p->owner;

    if (ts->sched->now < p->not_before)
        return &p->last_error;
    return ts->sched->now < ts->not_before ? &ts->last_error : NULL;
}

/* An opening that wants to be alone, and may be, has no dial of its own under way. */
static bool lacks_own_dial(const struct pod *p)
{
    return p->waiting_alone > p->coming_own && pod_may_own_more(p, true);
}

static bool lacks_dials(const struct pod *p)
{
    return p->coming < p->waiters || lacks_own_dial(p);
}

void dialling_for_waiting(struct pod *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    const struct api_error *forbidden = dialling_forbids(p);

    if (forbidden && !p->coming)
        pod_fail_waiting(p, forbidden);
    list_remove(&p->lacking);
    if (p->owner->draining || forbidden)
        return;
    while (lacks_dials(p) && p->node->dials < s->dials_max && p->count < s->tunnels_max)
        dial(p, !lacks_own_dial(p) && !pod_may_own_more(p, false));
    if (lacks_dials(p) && p->node->dials >= s->dials_max)
        list_append(&p->node->lacking, &p->lacking);
    shortage_look(p);
}

/* The pod may be gone, and nobody has said so yet: one dial shows it. */
static bool is_tried(const struct pod *p)
{
    return p->lost && p->coming;
}

/* For those who may come next. */
static bool may_dial_ahead(const struct pod *p)
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
static bool lacks_prewarmed(const struct pod *p)
{
    const struct tunnel_settings *s = &p->owner->settings;
    return p->prewarms && p->count <= s->prewarmed && p->count < s->tunnels_max;
}

static bool wants_dial_ahead(struct pod *p)
{
    const struct tunnel_settings *s = &p->owner->settings;

    if (lacks_prewarmed(p))
        return true;
    if (p->open + p->coming >= p->demand.wanted)
        return false;
    demand_decay(&p->demand, p->owner->sched->now);
    return p->open + p->coming < p->demand.wanted && p->count < AHEAD_TUNNELS &&
           p->count < s->tunnels_max;
}

/* As the connections were lately: those that wanted to be alone, and a few requests. */
static bool is_next_prewarmed_own(const struct pod *p)
{
    uint32_t alone = p->demand.alone + DEMAND_PREWARMED(p->demand.alone);
    bool wanted = alone && p->own < alone + p->owner->settings.own_brief_max;

    return pod_may_own_more(p, false) || (wanted && pod_may_own_more(p, true));
}

static void wait_for_free_dial(struct pod *p)
{
    list_append(&p->node->ahead, &p->ahead);
    if (list_empty(&p->node->in_blocked))
        list_append(&p->owner->blocked, &p->node->in_blocked);
}

void dialling_ahead(struct pod *p)
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
        dialling_for_waiting(list_first(&n->lacking, struct pod, lacking));
}

static void dial_ahead_on(struct tunnels *ts, struct node *n)
{
    while (has_free_dials(ts, n) && !list_empty(&n->ahead))
        dialling_ahead(list_first(&n->ahead, struct pod, ahead));
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

void dialling_on_end(struct pod *p, const struct tunnel *t)
{
    count_dial(p, -1);
    p->coming -= tunnel_carries(t);
    p->coming_own -= !t->share;
}

void pod_on_tunnel_open(struct pod *p, struct tunnel *t)
{
    uint16_t cluster = p->owner->settings.cluster;

    dialling_on_end(p, t);
    p->open += t->retired ? 0 : tunnel_carries(t);
    dialling_log_end(p, true);
    p->opened_at = p->owner->sched->now;
    p->failures = p->owner->failures = 0;
    p->owner->not_before = 0;
    p->not_before = p->owner->sched->now < p->asked_until ? p->asked_until : 0;
    p->ahead_after = 0;
    p->lost = false;
    metric_add_for(&metric_dials, cluster, 0, 1);
    metric_add_for(&metric_transports, cluster, t->kind, 1);
    metric_observe_ms_for(&metric_dial_time, cluster, t->opened_at - t->started_at);
    pod_on_tunnel_change(p); /* before others dial: somebody may wait for it */
    dialling_next(p->owner, p->node);
}

/* An answer that the next dial would get again. */
bool dialling_is_final(const struct api_error *e)
{
    return e->is_status && (e->code == ERR_NOT_FOUND || e->code == ERR_FORBIDDEN ||
                            e->code == ERR_UNAUTHORIZED);
}

/* After so many failures in a row. */
static uint64_t backoff_ms(struct sched *s, uint32_t failures)
{
    uint64_t ms = failures < 4 ? BACKOFF_MS << failures : BACKOFF_MAX_MS;
    return ms - ms / 4 + sched_random_below(s, ms / 2);
}

/* Those that were under way together count as one. */
static void note_silence(struct tunnels *ts, const struct api_error *error)
{
    uint64_t now = ts->sched->now;

    if (now < ts->not_before)
        return;
    ts->not_before = now + backoff_ms(ts->sched, ts->failures++);
    ts->last_error = *error;
}

/* A day would be obeyed to the letter, and nobody would know why nothing works. */
static uint64_t retry_after_ms(const struct api_error *error)
{
    uint64_t ms = (uint64_t)error->retry_after * 1000;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

static void note_failure(struct pod *p, const struct api_error *error)
{
    uint64_t now = p->owner->sched->now, asked = now + retry_after_ms(error);
    bool outranked = now < p->asked_until && !error->retry_after;

    if (now >= p->not_before)
        p->not_before = now + backoff_ms(p->owner->sched, p->failures++);
    if (p->asked_until < asked)
        p->asked_until = asked;
    if (p->not_before < p->asked_until)
        p->not_before = p->asked_until;
    if (!outranked)
        p->last_error = *error;
}

/* Nobody waits for a spare, so it can wait itself. */
void dialling_on_failure(struct pod *p, const struct api_error *error, bool silent)
{
    uint64_t pause = p->failures < 6 ? AHEAD_PAUSE_MS << p->failures : AHEAD_PAUSE_MAX_MS;
    bool refused = dialling_is_final(error) || error->code == ERR_THROTTLED;

    metric_add_for(&metric_dials, p->owner->settings.cluster, 1, 1);
    if (silent)
        note_silence(p->owner, error);
    note_failure(p, error);
    p->ahead_after = refused ? UINT64_MAX : p->owner->sched->now + pause;
}

bool dialling_is_failing(const struct pod *p)
{
    return p->failing.count && p->owner->sched->now - p->failing.last < ROW_MS;
}

void dialling_log_end(struct pod *p, bool success)
{
    const struct dial_failures row = p->failing;
    uint64_t seconds = (p->owner->sched->now - row.first) / 1000;

    p->failing = (struct dial_failures){ 0 };
    if (row.count < 2)
        return;
    if (success)
        log_info(CLUSTER_ID(p->owner->settings.cluster), "port-forward works again",
                 LOG_S("pod", p->label), LOG_U("failed_dials", row.count),
                 LOG_U("seconds", seconds));
    else
        log_warn(CLUSTER_ID(p->owner->settings.cluster),
                 "port-forward failed, no further dials", LOG_S("pod", p->label),
                 LOG_U("failed_dials", row.count), LOG_U("seconds", seconds));
}

void dialling_log_failure(struct pod *p, const struct api_error *error)
{
    const char *reason = diag_text(&error->why, error->code);
    uint64_t hash = str_hash(str_of(reason));

    if (p->failing.count && !dialling_is_failing(p))
        dialling_log_end(p, false);
    bool repeated = p->failing.count && p->failing.reason == hash;
    bool logged = error->code == ERR_CREDENTIALS; /* once, by those who renew them */

    if (!p->failing.count)
        p->failing.first = p->owner->sched->now;
    p->failing.last = p->owner->sched->now;
    p->failing.count++;
    p->failing.reason = hash;
    if (repeated || logged)
        log_debug(CLUSTER_ID(p->owner->settings.cluster), "port-forward failed again",
                  LOG_S("pod", p->label), LOG_I("status", error->status),
                  LOG_S("reason", reason));
    else
        log_warn(CLUSTER_ID(p->owner->settings.cluster), "port-forward failed",
                 LOG_S("pod", p->label), LOG_I("status", error->status),
                 LOG_S("reason", reason));
}

/* Somebody on the way takes connections and drops them: no spares at the speed of that. */
void dialling_on_loss(struct pod *p, uint64_t lived_ms)
{
    p->lost = true;
    if (lived_ms < AHEAD_PAUSE_MS && p->ahead_after < UINT64_MAX)
        p->ahead_after = p->owner->sched->now + AHEAD_PAUSE_MS;
}

void dialling_register_metrics(void)
{
    metrics_register(&metric_dials);
    metrics_register(&metric_transports);
    metrics_register(&metric_dial_time);
    metrics_register(&metric_ahead);
}
