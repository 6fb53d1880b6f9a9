/* tunnel/frames.c - SPDY frames between the transport and the pairs
 *
 * Reading: a data frame's payload moves from the transport's queue to the pair's without a
 * copy where whole chunks can change hands.  A pair that is full stops the tunnel: its
 * own client is slow, and TCP carries that back to the pod.  Frames for pairs that are
 * gone are dropped; the server may send them for a second after it was told.
 *
 * Writing: once per turn, everything that the pairs have goes into the transport's queue,
 * each frame with its head written in front of the payload where it already lies.
 */
#include "tunnel/coalesce.h"
#include "tunnel/pod.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"

#include "base/log.h"
#include "base/own.h"

LOG_MODULE(tunnel);

#define CONTROL_READ_MAX 256 /* longer control frames say nothing to us: skipped */
#define PAYLOAD_MAX 32768    /* what client-go and the runtime send at most */

static struct pair *find_in(struct list_node *pairs, uint32_t id)
{
    list_for_each (p, pairs, struct pair, in_tunnel)
        if (p->data_id == id || p->error_id == id)
            return p;
    return NULL;
}

static struct pair *find(struct tunnel *t, uint32_t id)
{
    struct pair *p = find_in(&t->pairs, id);
    return p ? p : find_in(&t->left, id);
}

static size_t skip_payload(struct tunnel *t)
{
    struct bufq *in = &t->transport->in;
    size_t n = in->len < t->data_left ? in->len : t->data_left;
    bufq_skip(in, n);
    t->data_left -= (uint32_t)n;
    return n;
}

/* A far end that goes on sending: the next user of this tunnel would wait behind it. */
static void drop_payload(struct tunnel *t, struct pair *p)
{
    p->dropped += skip_payload(t);
    if (p->left && !t->share && p->dropped > PAIR_DROPPED_MAX && !t->retired)
        tunnel_retire(t);
}

static void read_text(struct tunnel *t, struct pair *p)
{
    uint8_t text[DIAG_SIZE];
    size_t want = t->data_left < sizeof(text) ? t->data_left : sizeof(text);
    size_t n = bufq_read(&t->transport->in, text, want);
    t->data_left -= (uint32_t)n;
    pair_on_text(p, text, n);
}

static void read_bytes(struct tunnel *t, struct pair *p)
{
    share_set_limit(t, p);
    size_t n = bufq_move_n(&p->stream.in, &t->transport->in, t->data_left);
    if (n == 0) {
        if (t->data_left && !bufq_empty(&t->transport->in))
            share_on_full(t, p);
        return; /* an empty frame needs no room */
    }
    share_account(p);
    share_on_answer(t, p);
    t->data_left -= (uint32_t)n;
    if (!p->delivered)
        pod_on_answer(t->pod, p->port);
    p->delivered = true;
    coalesce_on_moved(p, n);
    p->unheard = 0;
    if (p->lent)
        t->used_at = t->step.sched->now;
    task_wake(p->stream.wake);
}

/* Returns false when it has to wait: for bytes, or for room in a pair. */
static bool read_payload(struct tunnel *t)
{
    struct pair *p = t->data_id ? find(t, t->data_id) : NULL;
    uint32_t before = t->data_left;

    if (p && t->data_id == p->error_id)
        read_text(t, p); /* also of one whose user has left: it may cost the slot */
    else if (!p)
        skip_payload(t);
    else if (p->left || p->stream.end.verdict != V_OPEN)
        drop_payload(t, p);
    else
        read_bytes(t, p);
    if (t->data_left != before)
        share_on_moving(t);
    if (t->data_left == 0 && t->data_fin) {
        t->data_fin = false;
        p = find(t, t->data_id); /* its text may have been its end */
        if (p)
            pair_on_fin(p, t->data_id);
    }
    return t->data_left != before || t->data_left == 0;
}

static void on_pong(struct tunnel *t, uint32_t id)
{
    if (t->unanswered)
        t->unanswered--;
    share_on_pong(t, id);
    slots_on_pong(t, id);
}

static enum err on_control(struct tunnel *t, const struct spdy_head *head,
                           const uint8_t *body, struct diag *why)
{
    struct spdy_control control;
    enum err e = spdy_control_decode(head, body, &control);
    if (e)
        return diag_set(why, e, "a broken SPDY control frame of type %d", head->type);

    struct pair *p = find(t, control.id);
    if (head->type == SPDY_PING)
        on_pong(t, control.id);
    else if (head->type == SPDY_GOAWAY)
        tunnel_retire(t);
    else if (head->type == SPDY_RST_STREAM && p)
        pair_on_reset(p, control.id);
    else if (head->type == SPDY_SYN_REPLY && p)
        pair_on_reply(p);
    return OK;
}

static void expect_payload(struct tunnel *t, uint32_t id, uint32_t length, bool fin)
{
    bufq_skip(&t->transport->in, SPDY_HEAD);
    t->data_id = id;
    t->data_left = length;
    t->data_fin = fin;
}

/* Read one frame's head, and all of a control frame.  ERR_AGAIN: not there yet. */
static enum err read_head(struct tunnel *t, struct diag *why)
{
    struct bufq *in = &t->transport->in;
    uint8_t bytes[SPDY_HEAD + CONTROL_READ_MAX];
    size_t len = bufq_copy(in, 0, bytes, SPDY_HEAD);
    struct spdy_head head;
    enum err e = spdy_head_decode(bytes, len, &head);

    if (e == ERR_AGAIN)
        return e;
    if (e)
        return diag_set(why, e, "the API server sent something that is not SPDY");
    if (head.type == SPDY_DATA || head.length > CONTROL_READ_MAX) {
        expect_payload(t, head.id, head.length, head.flags & SPDY_FIN);
        return OK;
    }
    if (in->len < SPDY_HEAD + head.length)
        return ERR_AGAIN;
    bufq_read(in, bytes, SPDY_HEAD + head.length);
    return on_control(t, &head, bytes + SPDY_HEAD, why);
}

static enum err read_frames(struct tunnel *t, struct diag *why)
{
    for (;;) {
        enum err e = OK;
        if (t->data_left || t->data_fin) {
            if (!read_payload(t))
                return OK;
        } else {
            e = read_head(t, why);
        }
        if (e)
            return e == ERR_AGAIN ? OK : e;
    }
}

enum err frames_read(struct tunnel *t, struct diag *why)
{
    size_t before = t->transport->in.len;
    enum err e = read_frames(t, why);

    if (t->transport->in.len != before) /* half a frame is no sign of life */
        t->heard_at = t->step.sched->now;
    return e;
}

/* How much of a queue goes into one frame: whole chunks, so that none has to be copied. */
static size_t payload(const struct bufq *from)
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
static void send_frame(struct tunnel *t, struct pair *p, size_t n)
{
    struct bufq *from = &p->stream.out;

    spdy_data_head_encode(p->data_id, 0, (uint32_t)n, bufq_prepend(from, SPDY_HEAD));
    bufq_move_n(&t->transport->out, from, n + SPDY_HEAD);
    share_on_sent(t, p, n);
    coalesce_on_moved(p, n);
    p->unheard++;
    p->allowance -= (uint32_t)n;
    t->used_at = t->flush.sched->now;
    task_wake(p->stream.wake);
}

/* A turn is PAYLOAD_MAX bytes, however they are cut into frames; what one leaves is added
 * to the next (deficit round robin). */
static enum flushed send_turn(struct tunnel *t, struct pair *p)
{
    bool begun = false;

    while (pair_may_send(p) && !bufq_empty(&p->stream.out) && share_may_send(t, p)) {
        size_t n = payload(&p->stream.out);
        if (p->allowance < n && begun)
            return FLUSHED_SOME;
        if (bufq_room(&t->transport->out) < n + SPDY_HEAD)
            return FLUSHED_NONE;
        p->allowance += p->allowance < n ? PAYLOAD_MAX : 0;
        begun = true;
        send_frame(t, p, n);
    }
    p->allowance = 0;
    return FLUSHED_ALL;
}

static void send_fin(struct tunnel *t, struct pair *p)
{
    uint8_t frame[SPDY_HEAD];

    spdy_data_head_encode(p->data_id, SPDY_FIN, 0, frame);
    if (!bufq_put(&t->transport->out, frame, sizeof(frame)))
        return;
    bufq_clear(&p->stream.out);
    p->fin_sent = true;
    p->stream.out_eof = true;
}

static enum flushed flush_pair(struct tunnel *t, struct pair *p)
{
    enum flushed flushed = send_turn(t, p);

    if (pair_owes_fin(p))
        send_fin(t, p);
    if (p->left && p->fin_sent)
        tunnel_on_pair_left(t, p);
    return flushed;
}

/* The pairs take turns.  The one for whose frame there was no room is the
 * first the next time: on a slow uplink each gets its part. */
static bool flush_round(struct tunnel *t)
{
    bool more = false;

    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        enum flushed flushed = flush_pair(t, p);
        more = more || flushed == FLUSHED_SOME;
        if (flushed != FLUSHED_NONE)
            continue;
        list_remove(&t->pairs);
        list_insert_before(&p->in_tunnel, &t->pairs);
        return false;
    }
    return more;
}

/* Who has the tunnel to himself is braked by TCP, at once: what his client does not take is
 * not read, and what the transport does not take is not asked for. */
static void brake(struct tunnel *t)
{
    struct stream *transport = t->transport;
    bool paused = false;

    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        if (t->share || p->left || p->stream.end.verdict != V_OPEN)
            continue;
        paused = paused || p->stream.paused;
        stream_set_stuck(&p->stream, transport->stuck);
    }
    if ((transport->paused && !paused) || (t->was_stuck && !transport->stuck))
        t->heard_at = t->flush.sched->now; /* the silence was ours */
    if (transport->paused && !paused && t->pod->waiters)
        task_wake(&t->step); /* it may be joined again */
    t->was_stuck = transport->stuck;
    transport->paused = paused;
}

void frames_flush(struct tunnel *t)
{
    share_ask(t);
    while (flush_round(t))
        continue;
    share_ask(t);
    brake(t);
    stream_update(t->transport);
}

bool frames_ping(struct tunnel *t, uint32_t *ret_id)
{
    uint8_t frame[SPDY_PING_SIZE];

    spdy_ping_encode(t->next_ping, frame);
    if (!bufq_put(&t->transport->out, frame, sizeof(frame)))
        return false;
    *ret_id = t->next_ping;
    t->next_ping += 2;
    t->unanswered++;
    share_on_ping(t);
    return true;
}
