/* tunnel/websocket.c - a client's WebSocket as a stream
 *
 * Sending: each chunk of `out` becomes one binary frame, masked in place, with its header
 * written in front of it.  Receiving: payload is moved to `in`; whole chunks are not copied,
 * since a server does not mask.  Pings are answered; a close frame or a text message ends the
 * stream.
 */
#include "tunnel/websocket.h"

#include "base/own.h"
#include "wire/websocket.h"

#define IN_LIMIT (4 * CHUNK_ROOM)
#define OUT_LIMIT (5 * CHUNK_ROOM)
#define CONTROL_MAX 125
#define CONTROL_ROOM (WEBSOCKET_HEADER_MAX + CONTROL_MAX) /* kept free for a pong */
/* A full chunk with its SPDY header fits; with the WebSocket header it is one TLS record. */
#define FRAME_MAX (CHUNK_SIZE - WEBSOCKET_HEADER_MAX)

struct websocket {
    struct stream stream;
    struct stream *below;
    struct sched *sched;
    uint64_t left; /* payload bytes of the frame being read */
    bool message;  /* a binary message is under way: continuations may follow */
    struct task read, flush;
};

static struct websocket *websocket_of(struct stream *s)
{
    return container_of(s, struct websocket, stream);
}

static void new_mask(struct websocket *w, uint8_t mask[static 4])
{
    uint64_t random = sched_random(w->sched);
    memcpy(mask, &random, 4);
}

/* Send a control frame: pong or close. */
static void send_control(struct websocket *w, enum websocket_opcode opcode,
                         const uint8_t *payload, size_t n)
{
    uint8_t frame[WEBSOCKET_HEADER_MAX + CONTROL_MAX];
    struct websocket_header h = {
        .opcode = opcode, .fin = true, .masked = true, .payload = n
    };
    new_mask(w, h.mask);
    size_t head = websocket_header_encode(&h, frame);
    if (n)
        memcpy(frame + head, payload, n);
    websocket_mask(frame + head, n, h.mask, 0);
    /* If there is no room it is dropped: only the latest ping must be answered (RFC 6455,
     * 5.5.3). */
    (void)!bufq_put(&w->below->out, frame, head + n);
}

static void send_frames(struct websocket *w)
{
    struct bufq *from = &w->stream.out, *to = &w->below->out;
    bool sent = false;

    while (!bufq_empty(from)) {
        struct websocket_header h = { .opcode = WEBSOCKET_BINARY,
                                      .fin = true,
                                      .masked = true };
        uint8_t head[WEBSOCKET_HEADER_MAX];
        size_t n;
        const uint8_t *bytes = bufq_peek(from, &n);

        n = n < FRAME_MAX ? n : FRAME_MAX;
        h.payload = n;
        new_mask(w, h.mask);
        size_t head_len = websocket_header_encode(&h, head);
        if (bufq_room(to) < head_len + n + CONTROL_ROOM)
            break;
        websocket_mask((uint8_t *)bytes, n, h.mask, 0); /* in place: we own the queue */
        memcpy(bufq_prepend(from, head_len), head, head_len);
        bufq_move_n(to, from, head_len + n);
        sent = true;
    }
    if (sent)
        task_wake(w->stream.wake);
}

/* Handle a control frame that was received completely. */
static void on_control(struct websocket *w, const struct websocket_header *h)
{
    uint8_t payload[CONTROL_MAX];
    size_t n = bufq_read(&w->below->in, payload, (size_t)h->payload);

    if (h->opcode == WEBSOCKET_PING)
        send_control(w, WEBSOCKET_PONG, payload, n);
    if (h->opcode == WEBSOCKET_CLOSE)
        stream_end(&w->stream, V_CLEAN, "closed by the API server");
}

/* Is it a frame that a server may not send, or not at this point? */
static bool is_out_of_place(const struct websocket *w, const struct websocket_header *h)
{
    if (h->masked || h->opcode == WEBSOCKET_TEXT)
        return true;
    if (h->opcode >= WEBSOCKET_CLOSE)
        return false;
    return (h->opcode == WEBSOCKET_CONTINUATION) != w->message;
}

static enum err start_frame(struct websocket *w)
{
    struct bufq *in = &w->below->in;
    uint8_t bytes[WEBSOCKET_HEADER_MAX];
    struct websocket_header h;
    size_t used;
    enum err e =
        websocket_header_decode(bytes, bufq_copy(in, 0, bytes, sizeof(bytes)), &h, &used);
    if (e)
        return e;
    if (is_out_of_place(w, &h))
        return ERR_PROTO;
    bool control = h.opcode >= WEBSOCKET_CLOSE;
    if (control && in->len < used + h.payload)
        return ERR_AGAIN;
    bufq_skip(in, used);
    if (control) {
        on_control(w, &h);
        return OK;
    }
    w->left = h.payload;
    w->message = !h.fin;
    return OK;
}

static void read_frames(struct websocket *w)
{
    struct stream *s = &w->stream;
    size_t before = s->in.len;

    while (s->end.verdict == V_OPEN) {
        if (w->left) {
            size_t n = bufq_move_n(&s->in, &w->below->in, w->left);
            if (n == 0)
                break;
            w->left -= n;
            continue;
        }
        enum err e = start_frame(w);
        if (e == ERR_AGAIN)
            break;
        if (e)
            stream_end(s, V_RESET, "the API server broke the WebSocket protocol");
    }
    if (s->in.len != before)
        task_wake(s->wake);
}

static void pass_on_end(struct websocket *w)
{
    const struct stream *b = w->below;
    bool waits_for_room = w->left && !bufq_empty(&b->in);
    if (b->in_eof && !waits_for_room && w->stream.end.verdict == V_OPEN)
        stream_end(&w->stream, V_RESET, diag_text(&b->end.why, ERR_EOF));
    else if (b->broken)
        stream_end(&w->stream, V_RESET, diag_text(&b->end.why, ERR_RESET));
}

static void on_websocket_read(struct task *task)
{
    struct websocket *w = container_of(task, struct websocket, read);
    read_frames(w);
    pass_on_end(w);
    task_wake(&w->flush);
}

static void on_websocket_flush(struct task *task)
{
    struct websocket *w = container_of(task, struct websocket, flush);
    read_frames(w);
    pass_on_end(w);
    if (!w->stream.broken)
        send_frames(w);
    w->below->paused = w->stream.paused;
    stream_set_stuck(&w->stream, w->below->stuck);
    stream_update(w->below);
}

static void websocket_update(struct stream *s)
{
    task_wake(&websocket_of(s)->flush);
}

static void websocket_free(struct websocket *w)
{
    task_cancel(&w->read);
    task_cancel(&w->flush);
    stream_finish(&w->stream);
    free(w);
}

static void websocket_close(struct stream *s)
{
    static const uint8_t normal[] = { 0x03, 0xe8 }; /* 1000 */
    struct websocket *w = websocket_of(s);

    s->wake = NULL;
    if (!w->below->broken)
        send_control(w, WEBSOCKET_CLOSE, normal, sizeof(normal));
    stream_close(TAKE(w->below));
    websocket_free(w);
}

static void websocket_abort(struct stream *s)
{
    struct websocket *w = websocket_of(s);
    stream_abort(TAKE(w->below));
    websocket_free(w);
}

static const struct stream_ops websocket_ops = { websocket_update, websocket_close,
                                                 websocket_abort };

struct stream *websocket_open(struct loop *l, struct stream *below)
{
    struct websocket *w = xcalloc(1, sizeof(*w));

    stream_init(&w->stream, &websocket_ops, loop_pool(l), IN_LIMIT, OUT_LIMIT);
    w->below = below;
    w->sched = loop_sched(l);
    task_init(&w->read, w->sched, RANK_READ, on_websocket_read);
    task_init(&w->flush, w->sched, RANK_FLUSH, on_websocket_flush);
    below->wake = &w->read;
    task_wake(&w->read); /* frames may have been received with the upgrade response */
    return &w->stream;
}
