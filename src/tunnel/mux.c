#include "tunnel/mux.h"

#include <assert.h>

#include "base/own.h"
#include "net/loop.h"
#include "tunnel/flush.h"
#include "tunnel/receive.h"
#include "wire/spdy.h"

LOG_MODULE(tunnel);

#define CLOSING_MAX                                                                      \
    100 /* pairs that wait for their verdict, which the runtime sends a second late */
#define SYN_ROOM (SPDY_PAIR_MAX + 64)

static struct mux *mux_of_pairs(struct pair_owner *owner)
{
    return container_of(owner, struct mux, pair_owner);
}

static const struct mux *const_mux_of_pairs(const struct pair_owner *owner)
{
    return container_of(owner, const struct mux, pair_owner);
}

static uint64_t mux_now(const struct mux *m)
{
    return m->flush.sched->now;
}

/* ---- state queries ---- */

/* The lowest stream id that the next pair may use. */
static uint32_t next_id(const struct mux *m)
{
    return m->last_id ? m->last_id + 2 : 1;
}

/* False also while a PING would wait behind bytes that the far end does not take, and where
 * one more PING could fill a worker's queue and so block the tunnel: then only TCP can detect a
 * dead far end. */
bool mux_can_receive_pong(const struct mux *m)
{
    return mux_is_reading(m) && !m->transport->stuck &&
           !share_has_stuck_worker(m->share) && m->pings.unanswered < LIVENESS_PINGS_MAX;
}

bool mux_in_use(const struct mux *m)
{
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (p->lent)
            return true;
    return false;
}

uint32_t mux_capacity(const struct mux *m)
{
    return m->share ? WORKERS : 1;
}

/* Is it proven, by a probe or by a verdict, that the runtime took everything of the pairs
 * whose FIN is queued? */
static bool closing_are_delivered(const struct mux *m)
{
    list_for_each (p, &m->closing, struct pair, in_owner)
        if (slots_is_unproven(&m->slots, p->data_id))
            return false;
    return true;
}

bool mux_has_delivered(const struct mux *m)
{
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (p->closed)
            return false;
    return closing_are_delivered(m);
}

bool mux_is_quiet(const struct mux *m)
{
    return m->pings.unanswered == 0 && slots_count(&m->slots, SLOT_DEAD) == 0 &&
           closing_are_delivered(m);
}

/* Has a pair been closed that may have filled its worker's queue?  Until a probe proves that it
 * did not, the runtime may read nothing of this tunnel. */
static bool may_be_blocked(const struct mux *m)
{
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (p->closed && p->overran)
            return true;
    return slots_may_block(&m->slots);
}

bool mux_takes_pairs(const struct mux *m)
{
    return m->transport && !m->retired && slots_find_free(&m->slots, next_id(m)) >= 0 &&
           m->closing_count < CLOSING_MAX && bufq_room(&m->transport->out) >= SYN_ROOM &&
           !share_has_stuck_worker(m->share) && !may_be_blocked(m);
}

/* An idle pair counts as another pair, too: it may be lent again at any time. */
bool mux_is_available(const struct mux *m)
{
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (!p->closed)
            return false;
    return mux_takes_pairs(m);
}

bool mux_is_joinable(const struct mux *m)
{
    return m->share && mux_takes_pairs(m) && share_may_join(m->share);
}

bool mux_may_begin_sharing(const struct mux *m)
{
    return !m->share && mux_is_reading(m) && share_may_begin(&m->pairs);
}

/* Only without closed pairs and unanswered PINGs, which would affect the next pair. */
bool mux_may_end_sharing(const struct mux *m)
{
    return m->share && mux_is_available(m) && list_empty(&m->pairs) &&
           list_empty(&m->closing) && mux_is_quiet(m);
}

/* ---- what happens to its pairs ---- */

static void note_room(struct mux *m)
{
    bool has_room = slots_count(&m->slots, SLOT_FREE) > 0;

    if (has_room == m->has_room)
        return;
    m->has_room = has_room;
    m->owner->ops->room_changed(m->owner);
}

/* The runtime may read nothing of this tunnel any more. */
static void give_up(struct mux *m)
{
    mux_retire(m);
    list_for_each (p, &m->pairs, struct pair, in_owner)
        pair_give_up_idle(p);
}

/* The pair's user has closed it and its verdict is known. */
static void end_pair(struct mux *m, struct pair *p)
{
    bool clean = p->stream.end.verdict == V_CLEAN;

    if (pair_worker_queue_may_be_full(p) || (p->overran && !clean))
        give_up(m);
    m->closing_count -= p->closing;
    slots_on_verdict(&m->slots, p->data_id, clean);
    pair_destroy(p);
    task_wake(m->owner->read);
}

/* The pair's user has closed it and its FIN is queued. */
static void on_pair_closing(struct mux *m, struct pair *p)
{
    p->closing = true;
    list_remove(&p->in_owner);
    list_append(&m->closing, &p->in_owner);
    m->closing_count++;
    slots_on_fin(&m->slots, p->data_id, p->overran);
    if (m->share)
        probe_gather(&m->probe);
    if (pair_worker_queue_may_be_full(p))
        give_up(m);
    if (!pair_is_open(p))
        end_pair(m, p);
    task_wake(m->owner->read);
}

static void on_pair_lent(struct pair_owner *owner, struct pair *p)
{
    struct mux *m = mux_of_pairs(owner);

    if (p->lent)
        usage_on_lent(m->owner->usage, p->alone, mux_now(m));
    else
        usage_on_returned(m->owner->usage, p->alone, pair_is_large(p));
    m->used_at = mux_now(m);
    task_wake(
        m->owner->read); /* received bytes, or an opening, may have waited for this */
}

static void on_pair_large(struct pair_owner *owner)
{
    usage_on_large(mux_of_pairs(owner)->owner->usage);
}

static void on_pair_settled(struct pair_owner *owner, struct pair *p)
{
    struct mux *m = mux_of_pairs(owner);
    const struct stream_end *end = &p->stream.end;

    if (end->verdict != V_CLEAN)
        log_debug(m->owner->id, "pair failed", LOG_U("pair", p->data_id),
                  LOG_S("reason", diag_text(&end->why, ERR_RESET)));
    if (end->verdict == V_REFUSED)
        ports_on_refusal(&m->owner->usage->ports, p->port);
    if (pair_target_is_gone(p))
        m->owner->ops->target_gone(m->owner);
    if (p->proves)
        task_wake(m->owner->read); /* openings may join this tunnel now */
    if (p->closing)
        end_pair(m, p);
}

static bool pair_may_abort(const struct pair_owner *owner, const struct pair *p)
{
    list_for_each (other, &const_mux_of_pairs(owner)->pairs, struct pair, in_owner)
        if (other != p && !other->closed)
            return false;
    return true;
}

static void on_pair_aborted(struct pair_owner *owner, struct pair *p)
{
    struct mux *m = mux_of_pairs(owner);

    end_pair(m, p);
    task_wake(&m->flush); /* the transport may have been paused for it */
    if (closing_are_delivered(m))
        m->owner->ops->failed(m->owner, ERR_CANCELLED,
                              "a connection was aborted with undelivered data");
    else
        mux_retire(m); /* it ends once closing pairs are delivered */
}

static void on_mux_pair_returned(struct pair_owner *owner)
{
    struct mux *m = mux_of_pairs(owner);
    m->owner->ops->returned(m->owner);
}

static bool is_reading(const struct pair_owner *owner)
{
    return mux_is_reading(const_mux_of_pairs(owner));
}

static bool pairs_are_reusable(const struct pair_owner *owner)
{
    const struct mux *m = const_mux_of_pairs(owner);
    return !m->retired && m->owner->ops->is_reusable(m->owner);
}

static bool pairs_are_free(const struct pair_owner *owner, bool alone)
{
    const struct mux *m = const_mux_of_pairs(owner);

    if (may_be_blocked(m))
        return false;
    return m->share ? !alone && share_may_join(m->share) : !mux_in_use(m);
}

static const struct pair_owner_ops pair_owner_ops = {
    .lent = on_pair_lent,
    .large = on_pair_large,
    .settled = on_pair_settled,
    .aborted = on_pair_aborted,
    .returned = on_mux_pair_returned,
    .may_abort = pair_may_abort,
    .is_reading = is_reading,
    .is_reusable = pairs_are_reusable,
    .is_free = pairs_are_free,
};

/* The first pair to a port `proves` it: until the pod sends a byte, no other pair joins. */
static struct stream *add_pair(struct mux *m, const struct spdy_pair *ids, bool alone)
{
    struct ports *ports = &m->owner->usage->ports;
    size_t *kept = m->share ? m->owner->kept_for_slow : NULL;
    struct pair *p = pair_create(&m->pair_owner, ids, m->pool, kept);

    p->alone = alone;
    p->proves = !ports_know(ports, ids->port) && !mux_in_use(m);
    list_append(&m->pairs, &p->in_owner);
    ports_on_connect(ports, ids->port);
    pair_set_lent(p, true);
    return &p->stream;
}

struct stream *mux_connect(struct mux *m, uint16_t port, bool alone)
{
    int slot = slots_find_free(&m->slots, next_id(m));
    uint32_t error_id = next_id(m);
    uint8_t bytes[SPDY_PAIR_MAX];

    assert(mux_is_available(m) || mux_is_joinable(m));
    while ((int)worker_of_stream(error_id) != slot)
        error_id += 2;
    struct spdy_pair pair = { error_id, error_id + 2 * WORKERS, port, m->carried };
    size_t n = spdy_pair_encode(&pair, m->carried == 0, bytes);
    bool fits = bufq_put(&m->transport->out, bytes, n);
    assert(fits);
    (void)fits;
    m->last_id = pair.data_id;
    m->carried++;
    slots_take(&m->slots, pair.data_id);
    note_room(m);
    task_wake(&m->flush);
    return add_pair(m, &pair, alone);
}

/* ---- probe and liveness ---- */

/* A probe costs a round trip through the API server and the kubelet.  An own tunnel needs one
 * free slot at a time, and sends a probe when only one is left.  On a shared tunnel the next
 * burst may need all slots. */
static bool wants_probe(const struct mux *m)
{
    if (m->probe.first || !slots_count(&m->slots, SLOT_SPENT) || !mux_can_receive_pong(m))
        return false;
    if (m->share)
        return !m->probe.gather.at || m->owner->usage->waiters;
    return list_empty(&m->pairs) && (m->retired || slots_may_block(&m->slots) ||
                                     slots_count(&m->slots, SLOT_FREE) <= 1);
}

static void on_probe_deadline(struct timer *timer)
{
    struct mux *m = container_of(timer, struct mux, probe.deadline);

    if (!mux_is_reading(m)) { /* the replies may wait unread in the transport */
        probe_extend(&m->probe);
        return;
    }
    probe_fail(&m->probe);
    give_up(m);
}

static void on_probe_gathered(struct timer *timer)
{
    task_wake(container_of(timer, struct mux, probe.gather)->owner->read);
}

/* False if PINGs may wait behind data that a slow pod has not taken: then a time-out proves
 * nothing. */
static bool pings_are_conclusive(const struct mux *m)
{
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (pair_worker_queue_may_be_full(p))
            return false;
    return true;
}

static void on_liveness_due(struct timer *timer)
{
    struct mux *m = container_of(timer, struct mux, liveness.due);
    bool sent;

    if (!liveness_check(&m->liveness, mux_can_receive_pong(m), pings_are_conclusive(m),
                        &sent))
        m->owner->ops->failed(m->owner, ERR_TIMEOUT,
                              "nothing was received within ping-timeout");
    else if (sent)
        task_wake(&m->flush);
}

void mux_check_liveness(struct mux *m)
{
    if (m->transport && mux_can_receive_pong(m) && liveness_check_now(&m->liveness))
        task_wake(&m->flush);
}

/* ---- open to close ---- */

enum err mux_read(struct mux *m, struct diag *why)
{
    const struct stream *t = m->transport;
    bool retire;
    enum err e = receive_frames(m, &retire, why);

    if (e)
        return e;
    if (retire)
        mux_retire(m);
    if (t->in_eof && !frame_is_waiting(&m->reader, &t->in)) /* or a partial frame */
        return diag_set(why, ERR_EOF, "%s", diag_text(&t->end.why, ERR_EOF));
    if (t->broken)
        return diag_set(why, ERR_RESET, "%s", diag_text(&t->end.why, ERR_RESET));
    return OK;
}

bool mux_advance(struct mux *m)
{
    if (probe_is_answered(&m->probe))
        note_room(m);
    if (wants_probe(m) && probe_start(&m->probe))
        task_wake(&m->flush);
    if (m->retired && list_empty(&m->pairs) && closing_are_delivered(m))
        return false;
    if (!list_empty(&m->pairs))
        task_wake(&m->flush);
    return true;
}

void mux_retire(struct mux *m)
{
    task_wake(m->owner->read);
    if (m->retired)
        return;
    m->retired = true;
    m->owner->ops->retired(m->owner);
}

static void make_share(struct mux *m)
{
    m->share = share_create(&(struct share_of){ .pairs = &m->pairs,
                                                .read = m->owner->read,
                                                .flush = &m->flush,
                                                .kept_for_slow = m->owner->kept_for_slow,
                                                .id = m->owner->id,
                                                .pod = m->owner->pod });
    m->pings.credit = &m->share->credit;
    credit_begin(&m->share->credit, ping_number(m->pings.next));
}

void mux_begin_sharing(struct mux *m)
{
    assert(mux_may_begin_sharing(m));
    make_share(m);
    list_for_each (p, &m->pairs, struct pair, in_owner) {
        p->kept_in_all = m->owner->kept_for_slow;
        pair_account(p);
        stream_set_stuck(&p->stream, false);
    }
}

void mux_end_sharing(struct mux *m)
{
    assert(mux_may_end_sharing(m));
    m->pings.credit = NULL;
    share_destroy(TAKE(m->share));
}

static void on_mux_flush(struct task *task)
{
    struct mux *m = container_of(task, struct mux, flush);

    if (!m->transport)
        return;
    flush_frames(m);
    list_for_each (p, &m->pairs, struct pair, in_owner)
        if (p->closed && p->fin_sent)
            on_pair_closing(m, p);
}

void mux_init(struct mux *m, struct mux_owner *owner, struct loop *loop, bool shared)
{
    struct sched *sched = loop_sched(loop);

    m->owner = owner;
    m->pool = loop_pool(loop);
    m->has_room = true;
    list_init(&m->pairs);
    list_init(&m->closing);
    task_init(&m->flush, sched, RANK_FLUSH, on_mux_flush);
    m->pair_owner = (struct pair_owner){ .ops = &pair_owner_ops,
                                         .read = owner->read,
                                         .flush = &m->flush };
    pings_init(&m->pings);
    probe_init(&m->probe, &m->pings, &m->slots, sched, on_probe_deadline,
               on_probe_gathered);
    liveness_init(&m->liveness, &m->pings, &m->slots, sched, on_liveness_due);
    if (shared)
        make_share(m);
}

void mux_open(struct mux *m, struct stream *transport, struct stream *wire,
              uint64_t ping_ms, uint64_t ping_timeout_ms)
{
    m->transport = transport;
    m->pings.transport = transport;
    transport->wake = m->owner->read;
    liveness_start(&m->liveness, wire, ping_ms, ping_timeout_ms);
}

void mux_close(struct mux *m, const char *why)
{
    liveness_stop(&m->liveness);
    probe_finish(&m->probe);
    list_for_each (p, &m->closing, struct pair, in_owner)
        pair_destroy(p);
    list_for_each (p, &m->pairs, struct pair, in_owner)
        pair_on_tunnel_lost(p, why);
    stream_close(TAKE(m->transport));
}

void mux_finish(struct mux *m)
{
    task_cancel(&m->flush);
    share_destroy(m->share);
}
