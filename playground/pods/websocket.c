#include "playground/pods/websocket.h"

static enum err next_frame(struct ws_echo *e, struct stream *s)
{
    uint8_t bytes[WEBSOCKET_HEADER_MAX];
    uint8_t answer[WEBSOCKET_HEADER_MAX];
    size_t used;

    size_t len = bufq_copy(&s->in, 0, bytes, sizeof(bytes));
    enum err err = websocket_header_decode(bytes, len, &e->head, &used);
    if (err)
        return err;
    if (!e->head.masked)
        return ERR_PROTO; /* RFC 6455, section 5.1 */
    if (bufq_room(&s->out) < WEBSOCKET_HEADER_MAX)
        return ERR_AGAIN;
    bufq_skip(&s->in, used);

    struct websocket_header back = { .opcode = e->head.opcode,
                                     .fin = e->head.fin,
                                     .payload = e->head.payload };
    if (back.opcode == WEBSOCKET_PING)
        back.opcode = WEBSOCKET_PONG;
    e->closing = e->head.opcode == WEBSOCKET_CLOSE;
    e->at = 0;
    e->left = e->head.payload;
    bufq_write(&s->out, answer, websocket_header_encode(&back, answer));
    return OK;
}

/* Unmasks and echoes payload; returns whether bytes were moved. */
static bool pass_payload(struct ws_echo *e, struct stream *s)
{
    uint8_t piece[4096];
    size_t n = bufq_room(&s->out);
    if (n > sizeof(piece))
        n = sizeof(piece);
    if (n > e->left)
        n = (size_t)e->left;
    n = bufq_read(&s->in, piece, n);
    websocket_mask(piece, n, e->head.mask, e->at);
    bufq_write(&s->out, piece, n);
    e->at += n;
    e->left -= n;
    return n > 0;
}

bool ws_echo_run(struct ws_echo *e, struct stream *s)
{
    for (;;) {
        if (e->left && !pass_payload(e, s))
            break;
        if (e->left)
            continue;
        if (e->closing)
            return false;
        enum err err = next_frame(e, s);
        if (err == ERR_AGAIN)
            break;
        if (err)
            return false;
    }
    return !s->in_eof || !bufq_empty(&s->in);
}
