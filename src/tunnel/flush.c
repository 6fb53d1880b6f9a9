/* tunnel/flush.c - what the pairs have, as SPDY frames to the transport
 *
 * Once per turn everything that the pairs have goes into the transport's queue, each frame
 * with its head written in front of the payload where it already lies.
 */
#include "tunnel/flush.h"

#include "wire/spdy.h"

#define PAYLOAD_MAX 32768 /* what client-go and the runtime send at most */

/* How much of a queue goes into one frame: whole chunks, so that none has to be copied. */
static size_t payload_of(const struct bufq *from)
{
    struct iovec chunks[4];
    size_t count = bufq_iov(from, chunks, ARRAY_LEN(chunks)), n = 0;

    for (size_t i = 0; i < count && n + chunks[i].iov_len <= PAYLOAD_MAX; i++)
        n += chunks[i].iov_len;
    return n;
}

enum flushed {
    FLUSHED_ALL,  /* that it may send now */
    FLUSHED_SOME, /* a turn, and there is more */
    FLUSHED_NONE  /* the transport has no room for its next frame */
};

/* One DATA frame of n bytes from the front of the pair's queue. */
static void send_frame(struct mux *m, struct pair *p, size_t n)
{
    struct bufq *from = &p->stream.out;

    spdy_data_head_encode(p->data_id, 0, (uint32_t)n, bufq_prepend(from, SPDY_HEAD));
    bufq_move_n(&m->transport->out, from, n + SPDY_HEAD);
    share_on_sent(m->share, p, n);
    pair_on_moved(p, n);
    p->unanswered++;
    p->allowance -= (uint32_t)n;
    m->used_at = m->flush.sched->now;
    task_wake(p->stream.wake);
}

/* A turn is PAYLOAD_MAX bytes, however they are cut into frames; what one leaves is added
 * to the next (deficit round robin). */
static enum flushed send_turn(struct mux *m, struct pair *p)
{
    bool begun = false;

    while (pair_may_send(p) && !bufq_empty(&p->stream.out) &&
           share_may_send(m->share, p)) {
        size_t n = payload_of(&p->stream.out);
        if (p->allowance < n && begun)
            return FLUSHED_SOME;
        if (bufq_room(&m->transport->out) < n + SPDY_HEAD)
            return FLUSHED_NONE;
        p->allowance += p->allowance < n ? PAYLOAD_MAX : 0;
        begun = true;
        send_frame(m, p, n);
    }
    p->allowance = 0;
    return FLUSHED_ALL;
}

static void send_fin(struct mux *m, struct pair *p)
{
    uint8_t frame[SPDY_HEAD];

    spdy_data_head_encode(p->data_id, SPDY_FIN, 0, frame);
    if (!bufq_put(&m->transport->out, frame, sizeof(frame)))
        return;
    bufq_clear(&p->stream.out);
    p->fin_sent = true;
    p->stream.out_eof = true;
}

static enum flushed flush_pair(struct mux *m, struct pair *p)
{
    enum flushed flushed = send_turn(m, p);

    if (pair_owes_fin(p))
        send_fin(m, p);
    return flushed;
}

/* The pairs take turns.  The one without room for its frame is the first the next
 * time: on a slow uplink each gets its part. */
static bool flush_round(struct mux *m)
{
    bool more = false;

    list_for_each (p, &m->pairs, struct pair, in_owner) {
        enum flushed flushed = flush_pair(m, p);
        more = more || flushed == FLUSHED_SOME;
        if (flushed != FLUSHED_NONE)
            continue;
        list_remove(&m->pairs);
        list_insert_before(&p->in_owner, &m->pairs);
        return false;
    }
    return more;
}

/* On a tunnel for one pair its back-pressure is passed on at once, both ways: what its client
 * does not take is not read, and while the transport is stuck nothing more is requested of
 * the client. */
static void pass_back_pressure(struct mux *m)
{
    struct stream *transport = m->transport;
    bool paused = false;

    list_for_each (p, &m->pairs, struct pair, in_owner) {
        if (m->share || p->closed || !pair_is_open(p))
            continue;
        paused = paused || p->stream.paused;
        stream_set_stuck(&p->stream, transport->stuck);
    }
    if ((transport->paused && !paused) || (m->was_stuck && !transport->stuck))
        liveness_on_heard(&m->liveness); /* the silence was ours */
    if (transport->paused && !paused && m->owner->usage->waiters)
        task_wake(m->owner->read); /* it may be joined again */
    m->was_stuck = transport->stuck;
    transport->paused = paused;
}

void flush_frames(struct mux *m)
{
    share_ask(m->share, &m->pings);
    while (flush_round(m))
        continue;
    share_ask(m->share, &m->pings);
    pass_back_pressure(m);
    stream_update(m->transport);
}
