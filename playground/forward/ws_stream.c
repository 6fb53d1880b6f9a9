#include "playground/forward/ws_stream.h"

#include "base/own.h"
#include "wire/websocket.h"

#define IN_LIMIT (64 * 1024)
#define OUT_LIMIT (64 * 1024)
#define ONE_FRAME 4096    /* longer messages are sent in two frames */
#define FRAME_MAX 16000   /* maximum of a message */
#define FRAME_OVERHEAD 32 /* frame heads of one message */
#define CONTROL_ROOM 256  /* a pong is at most this long */
#define CLOSE_NORMAL 1000

struct ws_stream {
    struct stream stream;
    struct stream *below; /* owned */
    struct task work;
    struct websocket_header head; /* of the frame whose payload is being read */
    uint64_t at, left;
    uint8_t control[125]; /* payload of a control frame */
};

static struct ws_stream *ws_of(struct stream *s)
{
    return container_of(s, struct ws_stream, stream);
}

static bool is_control(enum websocket_opcode opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

static void put_frame(struct ws_stream *w, enum websocket_opcode opcode, bool fin,
                      const void *payload, size_t n)
{
    struct websocket_header head = { .opcode = opcode, .fin = fin, .payload = n };
    uint8_t bytes[WEBSOCKET_HEADER_MAX];
    bufq_write(&w->below->out, bytes, websocket_header_encode(&head, bytes));
    bufq_write(&w->below->out, payload, n);
}

static void put_close(struct ws_stream *w, unsigned code)
{
    const uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    if (!w->stream.out_eof && !w->below->broken)
        put_frame(w, WEBSOCKET_CLOSE, true, payload, sizeof(payload));
    w->stream.out_eof = true;
}

static enum err next_head(struct ws_stream *w)
{
    uint8_t bytes[WEBSOCKET_HEADER_MAX];
    size_t used;
    size_t len = bufq_copy(&w->below->in, 0, bytes, sizeof(bytes));
    enum err e = websocket_header_decode(bytes, len, &w->head, &used);
    if (e)
        return e;
    if (!w->head.masked || w->head.opcode == WEBSOCKET_TEXT)
        return ERR_PROTO;
    bool control = is_control(w->head.opcode);
    if (control && (w->below->in.len < used + w->head.payload ||
                    bufq_room(&w->below->out) < CONTROL_ROOM))
        return ERR_AGAIN;
    bufq_skip(&w->below->in, used);
    w->at = 0;
    w->left = w->head.payload;
    return OK;
}

static void take_control(struct ws_stream *w)
{
    size_t n = bufq_read(&w->below->in, w->control, (size_t)w->left);
    websocket_mask(w->control, n, w->head.mask, 0);
    w->left = 0;
    if (w->head.opcode == WEBSOCKET_PING)
        put_frame(w, WEBSOCKET_PONG, true, w->control, n);
    if (w->head.opcode == WEBSOCKET_CLOSE) {
        put_close(w, CLOSE_NORMAL);
        stream_end(&w->stream, V_CLEAN, NULL);
    }
}

/* Unmasks payload into `in`; false when there is none, or no room. */
static bool take_payload(struct ws_stream *w)
{
    size_t room;
    uint8_t *to = bufq_reserve(&w->stream.in, &room);
    if (!to)
        return false;
    if (room > w->left)
        room = (size_t)w->left;
    size_t n = bufq_read(&w->below->in, to, room);
    websocket_mask(to, n, w->head.mask, w->at);
    bufq_commit(&w->stream.in, n);
    bufq_settle(&w->stream.in);
    w->at += n;
    w->left -= n;
    return n > 0;
}

static void receive(struct ws_stream *w)
{
    size_t before = w->stream.in.len;
    enum err e = OK;

    while (!e && !w->stream.in_eof && !w->stream.paused) {
        if (w->left && !take_payload(w))
            break;
        if (w->left)
            continue;
        e = next_head(w);
        if (!e && is_control(w->head.opcode))
            take_control(w);
    }
    if (e && e != ERR_AGAIN) {
        put_close(w, 1002);
        stream_end(&w->stream, V_RESET, "the WebSocket broke the protocol");
    }
    if (w->stream.in.len != before)
        task_wake(w->stream.wake);
}

static void put_message(struct ws_stream *w, size_t n)
{
    bool split = n > ONE_FRAME;
    struct websocket_header head = { .opcode = WEBSOCKET_BINARY,
                                     .fin = !split,
                                     .payload = n };
    uint8_t bytes[WEBSOCKET_HEADER_MAX];

    bufq_write(&w->below->out, bytes, websocket_header_encode(&head, bytes));
    bufq_move_n(&w->below->out, &w->stream.out, n);
    if (split)
        put_frame(w, WEBSOCKET_CONTINUATION, true, NULL, 0);
}

static void send_messages(struct ws_stream *w)
{
    bool sent = false;
    while (!bufq_empty(&w->stream.out) && !w->stream.out_eof) {
        size_t n = w->stream.out.len < FRAME_MAX ? w->stream.out.len : FRAME_MAX;
        if (bufq_room(&w->below->out) < n + FRAME_OVERHEAD)
            break;
        put_message(w, n);
        sent = true;
    }
    if (w->stream.shut && bufq_empty(&w->stream.out))
        put_close(w, CLOSE_NORMAL);
    if (sent)
        task_wake(w->stream.wake);
}

static void on_ws_work(struct task *task)
{
    struct ws_stream *w = container_of(task, struct ws_stream, work);

    receive(w);
    send_messages(w);
    if (w->below->in_eof && bufq_empty(&w->below->in))
        stream_end(&w->stream, V_CLEAN, NULL);
    if (w->below->broken)
        stream_end(&w->stream, V_RESET, NULL);
    w->below->paused = w->stream.paused;
    stream_update(w->below);
}

static void ws_update(struct stream *s)
{
    task_wake(&ws_of(s)->work);
}

static void ws_free(struct ws_stream *w)
{
    task_cancel(&w->work);
    stream_finish(&w->stream);
    free(w);
}

static void ws_close(struct stream *s)
{
    struct ws_stream *w = ws_of(s);
    put_close(w, CLOSE_NORMAL);
    stream_close(w->below);
    ws_free(w);
}

static void ws_abort(struct stream *s)
{
    struct ws_stream *w = ws_of(s);
    stream_abort(w->below);
    ws_free(w);
}

static const struct stream_ops ws_ops = { ws_update, ws_close, ws_abort };

struct stream *ws_stream_open(struct loop *l, struct stream *below)
{
    struct ws_stream *w = xcalloc(1, sizeof(*w));
    stream_init(&w->stream, &ws_ops, loop_pool(l), IN_LIMIT, OUT_LIMIT);
    task_init(&w->work, loop_sched(l), RANK_FLUSH, on_ws_work);
    w->below = below;
    below->wake = &w->work;
    task_wake(&w->work);
    return &w->stream;
}
