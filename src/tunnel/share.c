#include "tunnel/share.h"

#include <assert.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/pod.h"

LOG_MODULE(tunnel);

static struct metric metric_slow = {
    .name = "kube_tunnel_slow_clients_total",
    .help = "Connections reset because their client read too slowly for a shared tunnel.",
    .type = METRIC_COUNTER,
};

static bool is_used(const struct pair *p)
{
    return p->lent && p->stream.end.verdict == V_OPEN;
}

/* Credit is for the sake of neighbours, and costs the rest of a round trip after each 24
 * frames.  Nothing joins a pair that carries much, nor is an idle neighbour lent, so it has
 * none until its end. */
bool share_is_unbraked(const struct tunnel *t, const struct pair *p)
{
    if (p->moved < SHARE_SATURATED_BYTES)
        return false;
    list_for_each (other, &t->pairs, struct pair, in_tunnel)
        if (other != p && (is_used(other) || other->left))
            return false;
    return true;
}

static unsigned worker_of(const struct pair *p)
{
    return p->data_id % WORKERS;
}

bool share_may_send(const struct tunnel *t, const struct pair *p)
{
    return !t->share || share_is_unbraked(t, p) ||
           credit_allows(&t->share->credit, worker_of(p));
}

/* Five, one for each worker, because which worker gets a PING is the server's order. */
static void ask(struct tunnel *t)
{
    uint32_t id;
    if (bufq_room(&t->transport->out) < WORKERS * SPDY_PING_SIZE)
        return;
    for (int i = 0; i < WORKERS; i++)
        if (!frames_ping(t, &id))
            return;
}

/* What goes without credit is not counted: an answer may be all that is ever heard of it. */
void share_on_sent(struct tunnel *t, struct pair *p, size_t n)
{
    if (t->share && share_is_unbraked(t, p))
        p->unbraked = true;
    else if (t->share)
        credit_on_data(&t->share->credit, worker_of(p), (uint32_t)n);
}

/* Before the frames of a turn, because they may leave no room for it: a connection that has
 * used its credit up without asking would wait for ever. */
void share_ask(struct tunnel *t)
{
    for (unsigned w = 0; t->share && w < WORKERS; w++) {
        if (!credit_wants_pings(&t->share->credit, w))
            continue;
        ask(t);
        return;
    }
}

void share_on_ping(struct tunnel *t)
{
    if (t->share)
        credit_on_ping(&t->share->credit);
}

void share_on_pong(struct tunnel *t, uint32_t ping_id)
{
    if (!t->share)
        return;
    credit_on_pong(&t->share->credit, (ping_id - 1) / 2);
    task_wake(&t->flush); /* somebody may go on */
}

void share_on_answer(struct tunnel *t, const struct pair *p)
{
    if (t->share)
        credit_on_answer(&t->share->credit, worker_of(p));
}

bool share_owes_pong(const struct tunnel *t, unsigned worker)
{
    return t->share && t->share->credit.workers[worker].pings > 0;
}

bool share_is_blind(const struct tunnel *t)
{
    return t->share && credit_is_blind(&t->share->credit);
}

bool share_is_saturated(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (t->share && p->lent && p->moved >= SHARE_SATURATED_BYTES)
            return true;
    return false;
}

/* The first pair to its port, which may cost a worker. */
static bool is_proving(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (is_used(p) && p->proves && !p->delivered)
            return true;
    return false;
}

bool share_welcomes(const struct tunnel *t)
{
    return !t->share || (!t->share->stands && !share_is_saturated(t) && !is_proving(t));
}

bool share_may_begin(const struct tunnel *t)
{
    if (t->share || !tunnel_is_reading(t) || is_proving(t))
        return false;
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (p->lent && (p->alone || p->moved >= SHARE_SATURATED_BYTES ||
                        p->unheard > SHARE_BEGIN_FRAMES))
            return false;
    return true;
}

/* May this pair be waiting for what comes next?  It has taken all, or needs more to go on
 * with, as with half a head.  One whose own client takes nothing misses nothing while the
 * tunnel waits. */
static bool waits(const struct pair *p)
{
    return is_used(p) && (bufq_empty(&p->stream.in) || !p->stream.paused);
}

static bool somebody_waits(const struct tunnel *t, const struct pair *p)
{
    list_for_each (other, &t->pairs, struct pair, in_tunnel)
        if (other != p && waits(other))
            return true;
    return false;
}

void share_set_limit(struct tunnel *t, struct pair *p)
{
    bool generous =
        t->share && somebody_waits(t, p) && *t->origin->kept_for_slow < SHARE_ALL_LIMIT;
    p->stream.in.limit = generous ? SHARE_PAIR_LIMIT : PAIR_IN_LIMIT;
}

void share_account(struct pair *p)
{
    size_t *all = p->kept_in_all;
    if (!all)
        return;
    if (p->stream.in.len < p->counted)
        p->taken += p->counted - p->stream.in.len;
    *all += p->stream.in.len;
    *all -= p->counted;
    p->counted = p->stream.in.len;
}

static uint64_t now(const struct share *s)
{
    return s->stall.sched->now;
}

/* The tunnel waits for one of its pairs: for a while. */
void share_on_full(struct tunnel *t, struct pair *p)
{
    struct share *s = t->share;

    if (!s || s->stalled_id)
        return;
    s->stands = true;
    if (!somebody_waits(t, p))
        return;
    if (now(s) - s->window_at >= SHARE_STALL_WINDOW_MS) {
        s->window_at = now(s);
        s->stalled_ms = 0;
    }
    if (now(s) - s->long_at >= SHARE_LONG_WINDOW_MS) {
        s->long_at = now(s);
        s->long_ms = 0;
    }
    if (now(s) - p->marked_at >= SHARE_STALL_WINDOW_MS) {
        p->marked_at = now(s);
        p->taken_mark = p->taken;
    }
    s->stalled_id = p->data_id;
    s->stalled_at = now(s);
    uint64_t left = SHARE_STALL_MS - s->stalled_ms;
    timer_set(&s->stall, left ? left : SHARE_LOOK_MS);
}

void share_on_moving(struct tunnel *t)
{
    struct share *s = t->share;

    if (!s)
        return;
    s->stands = false;
    if (!s->stalled_id)
        return;
    uint64_t stalled_ms = now(s) - s->stalled_at;
    s->long_ms += stalled_ms > SHARE_STALL_MS + SHARE_LOOK_MS ? stalled_ms : 0;
    s->stalled_ms += stalled_ms;
    if (s->stalled_ms > SHARE_STALL_MS)
        s->stalled_ms = SHARE_STALL_MS;
    s->stalled_id = 0;
    timer_stop(&s->stall);
}

/* A client that takes megabytes a second is no slow one: it only gets them faster still. */
static bool is_slow(const struct share *s, const struct pair *p)
{
    uint64_t ms = now(s) - p->marked_at;
    return p->taken - p->taken_mark < ms * SHARE_SLOW_BYTES_PER_MS;
}

/* What came onto one tunnel in a burst, before its size was known, may be large on all sides,
 * and failing a connection loses an answer.  Only a pair that was answered already, and not
 * with much, cannot wait. */
static bool is_in_a_hurry(const struct pair *p)
{
    return waits(p) && p->delivered && p->moved < SHARE_SATURATED_BYTES;
}

/* Once in a while: the neighbours of several slow readers wait for all of them. */
static bool may_stall_longer(const struct tunnel *t, const struct pair *p)
{
    const struct share *s = t->share;

    list_for_each (other, &t->pairs, struct pair, in_tunnel)
        if (other != p && is_in_a_hurry(other))
            return false;
    return s->long_ms + (now(s) - s->stalled_at) < SHARE_LONG_STALL_MS;
}

/* What was kept for it is the start of something that will never be whole. */
static void fail(struct pair *p)
{
    log_info(p->tunnel->id, "a client reads too slowly for a shared tunnel",
             LOG_S("pod", p->tunnel->pod->label), LOG_U("pair", p->data_id),
             LOG_U("kept", p->stream.in.len));
    metric_add_for(&metric_slow, p->tunnel->id.cluster, 0, 1);
    bufq_clear(&p->stream.in);
    share_account(p);
    pair_fail(p, "its client read too slowly for a shared tunnel");
}

static void on_stall(struct timer *timer)
{
    struct share *s = container_of(timer, struct share, stall);
    struct tunnel *t = s->tunnel;

    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        if (p->data_id != s->stalled_id || p->stream.end.verdict != V_OPEN ||
            !is_slow(s, p) || !somebody_waits(t, p))
            continue;
        if (may_stall_longer(t, p)) {
            timer_set(&s->stall, SHARE_LOOK_MS);
            return;
        }
        fail(p);
    }
    share_on_moving(t);
    task_wake(&t->step);
}

struct share *share_create(struct tunnel *t)
{
    struct share *s = xcalloc(1, sizeof(*s));
    metrics_register(&metric_slow);
    s->tunnel = t;
    timer_init(&s->stall, t->step.sched, on_stall);
    return s;
}

void share_begin(struct tunnel *t)
{
    assert(share_may_begin(t));
    t->share = share_create(t);
    credit_begin(&t->share->credit, (t->next_ping - 1) / 2);
    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        p->kept_in_all = t->origin->kept_for_slow;
        share_account(p);
        stream_set_stuck(&p->stream, false);
    }
}

void share_destroy(struct share *s)
{
    if (!s)
        return;
    timer_stop(&s->stall);
    free(s);
}
