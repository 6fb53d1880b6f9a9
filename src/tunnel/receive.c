/* tunnel/receive.c - read SPDY frames from the transport, and pass them to the pairs
 *
 * The payload of a data frame is moved from the transport's queue to the pair's; whole chunks
 * are not copied.  If the pair's queue is full, because its client is slow, the transport is
 * not read any further, and TCP stops the sender.  Frames for pairs that are gone are dropped;
 * the runtime may send them for a second after our FIN.
 */
#include "tunnel/receive.h"

static struct pair *find_pair_in(struct list_node *pairs, uint32_t id)
{
    list_for_each (p, pairs, struct pair, in_owner)
        if (p->data_id == id || p->error_id == id)
            return p;
    return NULL;
}

static struct pair *find_pair(struct mux *m, uint32_t id)
{
    struct pair *p = find_pair_in(&m->pairs, id);
    return p ? p : find_pair_in(&m->closing, id);
}

/* Drop payload of a closed pair.  If the far end goes on sending, retire the tunnel, since its
 * next user would wait behind these bytes. */
static void drop_payload(struct mux *m, struct pair *p, bool *ret_retire)
{
    p->dropped += frame_skip(&m->reader, &m->transport->in);
    if (p->closed && !m->share && p->dropped > PAIR_DROPPED_MAX)
        *ret_retire = true;
}

static void read_text(struct mux *m, struct pair *p)
{
    uint8_t text[DIAG_SIZE];
    size_t n = frame_copy(&m->reader, &m->transport->in, text, sizeof(text));
    pair_on_text(p, text, n);
}

static void read_bytes(struct mux *m, struct pair *p)
{
    share_set_limit(m->share, p);
    size_t n = frame_move(&m->reader, &m->transport->in, &p->stream.in);
    if (n == 0) {
        share_on_blocked(m->share, p);
        return;
    }
    pair_account(p);
    share_on_answer(m->share, p);
    if (!p->answered)
        ports_on_answer(&m->owner->usage->ports, p->port);
    p->answered = true;
    pair_on_moved(p, n);
    p->unanswered = 0;
    if (p->lent)
        m->used_at = m->flush.sched->now;
    task_wake(p->stream.wake);
}

/* False: a pair has no room for it. */
static bool read_payload(struct mux *m, uint32_t id, bool *ret_retire)
{
    struct pair *p = id ? find_pair(m, id) : NULL;
    uint32_t before = m->reader.left;

    if (p && id == p->error_id)
        read_text(m, p); /* also of a closed pair: an error means that its slot is dead */
    else if (!p)
        frame_skip(&m->reader, &m->transport->in);
    else if (p->closed || !pair_is_open(p))
        drop_payload(m, p, ret_retire);
    else
        read_bytes(m, p);
    if (m->reader.left == before)
        return false;
    share_on_unblocked(m->share);
    return true;
}

static void on_pong(struct mux *m, uint32_t id)
{
    pings_on_pong(&m->pings, id);
    share_on_pong(m->share);
    probe_on_pong(&m->probe, id);
}

static void on_stream_event(struct pair *p, enum frame_event event, uint32_t id)
{
    if (!p)
        return;
    if (event == FRAME_FIN)
        pair_on_fin(p, id);
    else if (event == FRAME_RESET)
        pair_on_reset(p, id);
    else
        pair_on_reply(p);
}

/* False: a pair has no room, so reading has to stop. */
static bool on_event(struct mux *m, enum frame_event event, uint32_t id, bool *ret_retire)
{
    switch (event) {
    case FRAME_PAYLOAD:
        return read_payload(m, id, ret_retire);
    case FRAME_PONG:
        on_pong(m, id);
        return true;
    case FRAME_GOAWAY:
        *ret_retire = true;
        return true;
    case FRAME_FIN:
    case FRAME_RESET:
    case FRAME_REPLY:
        on_stream_event(find_pair(m, id), event, id);
        return true;
    }
    return true;
}

static enum err receive_all(struct mux *m, bool *ret_retire, struct diag *why)
{
    enum frame_event event;
    uint32_t id;
    enum err e;

    while (!(e = frame_next(&m->reader, &m->transport->in, &event, &id, why)))
        if (!on_event(m, event, id, ret_retire))
            return OK;
    return e == ERR_AGAIN ? OK : e;
}

enum err receive_frames(struct mux *m, bool *ret_retire, struct diag *why)
{
    size_t before = m->transport->in.len;
    *ret_retire = false;
    enum err e = receive_all(m, ret_retire, why);

    if (m->transport->in.len != before) /* complete frames were read */
        liveness_on_received(&m->liveness);
    return e;
}
