/* tunnel/flush.c - frame the bytes of the pairs, and queue them on the transport
 *
 * Once per turn of the loop all bytes that pairs may send are moved to the transport's queue.
 * The frame header is written in front of the payload in its chunk, so nothing is copied.
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
    FLUSHED_ALL,  /* the pair has no more bytes that it may send now */
    FLUSHED_SOME, /* the pair has used up its turn, and has more bytes */
    FLUSHED_NONE  /* the transport has no room for the pair's next frame */
};

/* One DATA frame of n bytes from the front of the pair's queue. */
static void send_frame(struct mux *m, struct pair *p, size_t n)
{
    struct bufq *from = &p->stream.out;

    spdy_data_head_encode(p->data_id, 0, (uint32_t)n, bufq_prepend(from, SPDY_HEAD));
    bufq_move_n(&m->transport->out, from, n + SPDY_HEAD);
    share_on_sent(m->share, p, n);
    pair_on_moved(p, n);
    pair_on_frame(p);
    p->allowance -= (uint32_t)n;
    m->used_at = m->flush.sched->now;
    task_wake(p->stream.wake);
}

/* A pair may send PAYLOAD_MAX bytes per round, in any number of frames; unused bytes are added
 * to its next round (deficit round robin). */
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

    if (pair_needs_fin(p))
        send_fin(m, p);
    return flushed;
}

/* One round: each pair sends its part.  The pair whose frame has no room in the transport is
 * the first of the next flush, so that a slow transport is shared fairly. */
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

/* On an own tunnel back-pressure is passed on at once, in both directions: while the client
 * takes no bytes the transport is not read, and while the transport is stuck the client is not
 * read. */
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
        liveness_on_received(&m->liveness); /* the transport was not read meanwhile */
    if (transport->paused && !paused && m->owner->usage->waiters)
        task_wake(m->owner->read); /* an opening may join this tunnel now */
    m->was_stuck = transport->stuck;
    transport->paused = paused;
}

void flush_frames(struct mux *m)
{
    share_send_pings(m->share, &m->pings);
    while (flush_round(m))
        continue;
    share_send_pings(m->share, &m->pings);
    pass_back_pressure(m);
    stream_update(m->transport);
}
