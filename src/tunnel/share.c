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

/* Credit protects neighbours, and costs the rest of a round trip after each 24 frames.
 * Nothing joins a pair that carries much, and idle neighbours are not leased, so such a
 * pair needs no credit until its end. */
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

/* What is sent without credit is not counted: it may be that only an answer, and no PING,
 * will ever prove that it was taken. */
void share_on_sent(struct share *s, struct pair *p, size_t n)
{
    if (!s)
        return;
    if (needs_no_credit(s, p))
        p->without_credit = true;
    else
        credit_on_data(&s->credit, worker_of_stream(p->data_id), (uint32_t)n);
}

/* Before the frames of a turn, because they may leave no room for PINGs: a pair that has
 * used its credit up without a PING on the way would wait for ever.  Five, one for each
 * worker, because the server's order decides which worker gets a PING. */
void share_ask(struct share *s, struct pings *pings)
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

bool share_is_blind(const struct share *s)
{
    return s && credit_is_blind(&s->credit);
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

/* The first pair to its port, which may cost a worker. */
static bool is_proving(const struct list_node *pairs)
{
    list_for_each (p, pairs, struct pair, in_owner)
        if (pair_is_used(p) && p->proves && !p->answered)
            return true;
    return false;
}

bool share_welcomes(const struct share *s)
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

/* May this pair be waiting for what comes next?  Its user has taken all, or needs more to go
 * on, as with a partial head.  A pair whose client takes nothing misses nothing while the
 * tunnel waits. */
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

/* The tunnel waits for one of its pairs, for a limited time. */
void share_on_full(struct share *s, struct pair *p)
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
    timer_set(&s->stall, left ? left : SHARE_LOOK_MS);
}

void share_on_moving(struct share *s)
{
    if (!s)
        return;
    s->blocked = false;
    if (!s->stalled_id)
        return;
    uint64_t stalled_ms = share_now(s) - s->stalled_at;
    s->long_ms += stalled_ms > SHARE_STALL_MS + SHARE_LOOK_MS ? stalled_ms : 0;
    s->stalled_ms += stalled_ms;
    if (s->stalled_ms > SHARE_STALL_MS)
        s->stalled_ms = SHARE_STALL_MS;
    s->stalled_id = 0;
    timer_stop(&s->stall);
}

/* A client that takes megabytes a second is not slow: its sender is faster still. */
static bool is_slow(const struct share *s, const struct pair *p)
{
    uint64_t ms = share_now(s) - p->marked_at;
    return p->taken - p->taken_mark < ms * SHARE_SLOW_BYTES_PER_MS;
}

/* What came onto one tunnel in a burst, before its size was known, may be large on all
 * sides, and failing a pair loses an answer.  Only a pair that was answered already, and
 * not with much, cannot wait. */
static bool is_urgent(const struct pair *p)
{
    return is_waiting(p) && p->answered && !pair_is_large(p);
}

/* Up to the minute's limit: the neighbours of several slow readers wait for all of them. */
static bool may_stall_longer(const struct share *s, const struct pair *p)
{
    list_for_each (other, s->of.pairs, struct pair, in_owner)
        if (other != p && is_urgent(other))
            return false;
    return s->long_ms + (share_now(s) - s->stalled_at) < SHARE_LONG_STALL_MS;
}

/* The truncated response is discarded. */
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
            timer_set(&s->stall, SHARE_LOOK_MS);
            return;
        }
        fail_slow(s, p);
    }
    share_on_moving(s);
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
