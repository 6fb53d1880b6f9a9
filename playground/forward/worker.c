#include "playground/forward/worker.h"

#include "base/own.h"
#include "playground/forward/pair.h"

#define ANSWER_ROOM 64 /* room for a reply or a PING in the session's queue */

void worker_init(struct worker *w)
{
    *w = (struct worker){ 0 };
    list_init(&w->queue);
}

void worker_finish(struct worker *w)
{
    frame_destroy(TAKE(w->hand));
    list_for_each (f, &w->queue, struct frame, node) {
        list_remove(&f->node);
        frame_destroy(f);
    }
}

bool worker_queue(struct worker *w, struct frame *f)
{
    if (w->queued == WORKER_QUEUE)
        return false;
    list_append(&w->queue, &f->node);
    w->queued++;
    return true;
}

static bool finish_syn(struct session *s, const struct frame *f)
{
    uint32_t id = f->control.id;
    if (session_room(s) < ANSWER_ROOM)
        return false;
    if (!f->wish.valid) {
        session_put_reset(s, id, SPDY_CANCEL);
        return true;
    }
    struct spdy_stream *stream = session_add_stream(s, id);
    stream->remote_end = f->head.flags & SPDY_FIN;
    session_put_reply(s, id);
    pair_join(s, stream, &f->wish);
    return true;
}

static void end_remote(struct spdy_stream *stream)
{
    stream->remote_end = true;
    if (stream->pair)
        pair_client_ended(stream->pair, stream);
    if (stream->local_end)
        session_remove_stream(stream);
}

/* Passes the bytes to the consumer of the stream; false: it does not take them now. */
static bool hand_over(struct spdy_stream *stream, struct bufq *payload)
{
    switch (stream->consumer) {
    case CONSUMER_PAIR:
        return pair_takes(stream->pair, payload);
    case CONSUMER_ONE_MORE:
        stream->consumer = CONSUMER_NONE;
        return true;
    case CONSUMER_DRAIN:
        return true;
    case CONSUMER_NONE:
        break;
    }
    return false;
}

static bool finish_data(struct session *s, struct frame *f)
{
    struct spdy_stream *stream = session_stream(s, f->head.id);
    if (!stream)
        return true;
    if (!bufq_empty(&f->payload) && !hand_over(stream, &f->payload))
        return false;
    if (f->head.flags & SPDY_FIN)
        end_remote(stream);
    return true;
}

/* Only the reading side ends: as in the real implementation, data is still sent on a
 * stream that was reset. */
static bool finish_reset(struct session *s, const struct frame *f)
{
    struct spdy_stream *stream = session_stream(s, f->control.id);
    if (!stream)
        return true;
    if (stream->pair)
        pair_client_ended(stream->pair, stream);
    session_remove_stream(stream);
    return true;
}

static bool finish_ping(struct session *s, const struct frame *f)
{
    uint8_t bytes[SPDY_PING_SIZE];
    if (session_room(s) < ANSWER_ROOM)
        return false;
    /* even ids would be answers to PINGs of the server, which sends none */
    if (f->control.id & 1) {
        spdy_ping_encode(f->control.id, bytes);
        session_put(s, bytes, sizeof(bytes));
    }
    return true;
}

static bool frame_finish(struct session *s, struct frame *f)
{
    switch (f->head.type) {
    case SPDY_SYN_STREAM:
        return finish_syn(s, f);
    case SPDY_DATA:
        return finish_data(s, f);
    case SPDY_RST_STREAM:
        return finish_reset(s, f);
    case SPDY_PING:
        return finish_ping(s, f);
    default:
        return true;
    }
}

static struct frame *next(struct worker *w)
{
    if (list_empty(&w->queue))
        return NULL;
    struct frame *f = list_first(&w->queue, struct frame, node);
    list_remove(&f->node);
    w->queued--;
    return f;
}

void worker_run(struct worker *w, struct session *s)
{
    for (;;) {
        if (!w->hand)
            w->hand = next(w);
        if (!w->hand || w->stalled || !frame_finish(s, w->hand))
            return;
        frame_destroy(TAKE(w->hand));
    }
}
