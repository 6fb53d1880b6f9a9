#include "tunnel/share.h"

#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/workers.h"

LOG_MODULE(tunnel);

static struct metric metric_slow = {
    .name = "kube_tunnel_slow_clients_total",
    .help = "Connections reset because their client read too slowly for a shared tunnel.",
    .type = METRIC_COUNTER,
};

/* Credit protects the other pairs, and costs up to a round trip after each 24 frames.  No pair
 * joins a large one, and idle pairs of its tunnel are not lent, so a large pair without others
 * needs no credit until its end. */
static bool needs_no_credit(const struct share *s, const struct pair *p)
{
    if (!pair_is_large(p))
        return false;
    list_for_each (other, s->of.pairs, struct pair, in_owner)
        if (other != p && (pair_is_used(other) || other->closed))
            return false;
    return true;
}

bool share_may_send(const struct share *s, const struct pair *p)
{
    return !s || needs_no_credit(s, p) ||
           credit_allows(&s->credit, worker_of_stream(p->data_id));
}

/* Frames sent without credit are not counted, since PINGs may never prove that they were
 * taken. */
void share_on_sent(struct share *s, struct pair *p, size_t n)
{
    if (!s)
        return;
    if (needs_no_credit(s, p))
        p->without_credit = true;
    else
        credit_on_data(&s->credit, worker_of_stream(p->data_id), (uint32_t)n);
}

/* Called before the frames of a turn, because they may leave no room for PINGs: a pair that has
 * used up its credit without an unanswered PING would wait for ever.  A round of five, since
 * the runtime gives PINGs to its workers in turn. */
void share_send_pings(struct share *s, struct pings *pings)
{
    uint32_t first;

    for (unsigned w = 0; s && w < WORKERS; w++) {
        if (!credit_wants_pings(&s->credit, w))
            continue;
        (void)!pings_send_round(pings, &first);
        return;
    }
}

void share_on_pong(struct share *s)
{
    if (s)
        task_wake(s->of.flush); /* a pair may have credit again */
}

void share_on_answer(struct share *s, const struct pair *p)
{
    if (s)
        credit_on_answer(&s->credit, worker_of_stream(p->data_id));
}

bool share_has_stuck_worker(const struct share *s)
{
    return s && credit_has_stuck_worker(&s->credit);
}

bool share_is_saturated(const struct share *s)
{
    if (!s)
        return false;
    list_for_each (p, s->of.pairs, struct pair, in_owner)
        if (p->lent && pair_is_large(p))
            return true;
    return false;
}

/* Is one of the pairs the first one to its port?  If it is refused, its worker may be stuck. */
static bool is_proving(const struct list_node *pairs)
{
    list_for_each (p, pairs, struct pair, in_owner)
        if (pair_is_used(p) && p->proves && !p->answered)
            return true;
    return false;
}

bool share_may_join(const struct share *s)
{
    return !s || (!s->blocked && !share_is_saturated(s) && !is_proving(s->of.pairs));
}

bool share_may_begin(const struct list_node *pairs)
{
    if (is_proving(pairs))
        return false;
    list_for_each (p, pairs, struct pair, in_owner)
        if (p->lent &&
            (p->alone || pair_is_large(p) || p->unanswered > SHARE_BEGIN_FRAMES))
            return false;
    return true;
}

/* May the pair's user be waiting for further bytes?  It has taken all, or needs more to
 * continue, as with a partial header.  A pair whose client takes no bytes loses nothing while
 * the transport is not read. */
static bool is_waiting(const struct pair *p)
{
    return pair_is_used(p) && (bufq_empty(&p->stream.in) || !p->stream.paused);
}

static bool others_wait(const struct share *s, const struct pair *p)
{
    list_for_each (other, s->of.pairs, struct pair, in_owner)
        if (other != p && is_waiting(other))
            return true;
    return false;
}

void share_set_limit(const struct share *s, struct pair *p)
{
    bool generous = s && others_wait(s, p) && *s->of.kept_for_slow < SHARE_ALL_LIMIT;
    p->stream.in.limit = generous ? SHARE_PAIR_LIMIT : PAIR_IN_LIMIT;
}

static uint64_t share_now(const struct share *s)
{
    return s->stall.sched->now;
}

static void begin_windows(struct share *s, struct pair *p)
{
    if (share_now(s) - s->window_at >= SHARE_STALL_WINDOW_MS) {
        s->window_at = share_now(s);
        s->stalled_ms = 0;
    }
    if (share_now(s) - s->long_at >= SHARE_LONG_WINDOW_MS) {
        s->long_at = share_now(s);
        s->long_ms = 0;
    }
    if (share_now(s) - p->marked_at >= SHARE_STALL_WINDOW_MS) {
        p->marked_at = share_now(s);
        p->taken_mark = p->taken;
    }
}

/* Start the timer that limits how long the transport is not read because of this pair. */
void share_on_blocked(struct share *s, struct pair *p)
{
    if (!s || s->stalled_id)
        return;
    s->blocked = true;
    if (!others_wait(s, p))
        return;
    begin_windows(s, p);
    s->stalled_id = p->data_id;
    s->stalled_at = share_now(s);
    uint64_t left = SHARE_STALL_MS - s->stalled_ms;
    timer_set(&s->stall, left ? left : SHARE_RECHECK_MS);
}

void share_on_unblocked(struct share *s)
{
    if (!s)
        return;
    s->blocked = false;
    if (!s->stalled_id)
        return;
    uint64_t stalled_ms = share_now(s) - s->stalled_at;
    s->long_ms += stalled_ms > SHARE_STALL_MS + SHARE_RECHECK_MS ? stalled_ms : 0;
    s->stalled_ms += stalled_ms;
    if (s->stalled_ms > SHARE_STALL_MS)
        s->stalled_ms = SHARE_STALL_MS;
    s->stalled_id = 0;
    timer_stop(&s->stall);
}

/* A client that takes megabytes a second is not slow, even if its pair is always full. */
static bool is_slow(const struct share *s, const struct pair *p)
{
    uint64_t ms = share_now(s) - p->marked_at;
    return p->taken - p->taken_mark < ms * SHARE_SLOW_BYTES_PER_MS;
}

/* Must this pair not wait for a slow one?  Only a pair that has received bytes, but not many,
 * is urgent.  Others, for example several large responses that came on one tunnel in a burst,
 * can wait, since failing the slow pair would lose its response. */
static bool is_urgent(const struct pair *p)
{
    return is_waiting(p) && p->answered && !pair_is_large(p);
}

/* If no other pair is urgent, up to the limit per minute, which applies to all slow pairs of
 * the tunnel together. */
static bool may_stall_longer(const struct share *s, const struct pair *p)
{
    list_for_each (other, s->of.pairs, struct pair, in_owner)
        if (other != p && is_urgent(other))
            return false;
    return s->long_ms + (share_now(s) - s->stalled_at) < SHARE_LONG_STALL_MS;
}

/* Reset the pair, and discard what is buffered for its client. */
static void fail_slow(const struct share *s, struct pair *p)
{
    log_info(s->of.id, "a client reads too slowly for a shared tunnel",
             LOG_S("pod", s->of.pod), LOG_U("pair", p->data_id),
             LOG_U("kept", p->stream.in.len));
    metric_add_for(&metric_slow, s->of.id.cluster, 0, 1);
    bufq_clear(&p->stream.in);
    pair_account(p);
    pair_fail(p, "its client read too slowly for a shared tunnel");
}

static void on_stall(struct timer *timer)
{
    struct share *s = container_of(timer, struct share, stall);

    list_for_each (p, s->of.pairs, struct pair, in_owner) {
        if (p->data_id != s->stalled_id || !pair_is_open(p) || !is_slow(s, p) ||
            !others_wait(s, p))
            continue;
        if (may_stall_longer(s, p)) {
            timer_set(&s->stall, SHARE_RECHECK_MS);
            return;
        }
        fail_slow(s, p);
    }
    share_on_unblocked(s);
    task_wake(s->of.read);
}

struct share *share_create(const struct share_of *of)
{
    struct share *s = xcalloc(1, sizeof(*s));
    metrics_register(&metric_slow);
    s->of = *of;
    timer_init(&s->stall, of->flush->sched, on_stall);
    return s;
}

void share_destroy(struct share *s)
{
    if (!s)
        return;
    timer_stop(&s->stall);
    free(s);
}
