#include "tunnel/frame_reader.h"

#include "wire/spdy.h"

#define CONTROL_READ_MAX 256 /* longer control frames are of no interest: skipped */

/* Also used to skip the content of a control frame. */
static void begin_payload(struct frame_reader *r, struct bufq *in,
                          const struct spdy_head *head)
{
    bufq_skip(in, SPDY_HEAD);
    r->id = head->id;
    r->left = head->length;
    r->fin = head->type == SPDY_DATA && (head->flags & SPDY_FIN);
}

/* ERR_AGAIN: a frame that is of no interest. */
static enum err event_of(enum spdy_type type, enum frame_event *ret)
{
    switch (type) {
    case SPDY_PING:
        *ret = FRAME_PONG;
        return OK;
    case SPDY_GOAWAY:
        *ret = FRAME_GOAWAY;
        return OK;
    case SPDY_RST_STREAM:
        *ret = FRAME_RESET;
        return OK;
    case SPDY_SYN_REPLY:
        *ret = FRAME_REPLY;
        return OK;
    default:
        return ERR_AGAIN;
    }
}

/* Reads one frame's head, and all of a control frame.  *ret_found: it is an event. */
static enum err read_head(struct frame_reader *r, struct bufq *in, enum frame_event *ret,
                          uint32_t *ret_id, bool *ret_found, struct diag *why)
{
    uint8_t bytes[SPDY_HEAD + CONTROL_READ_MAX];
    size_t len = bufq_copy(in, 0, bytes, SPDY_HEAD);
    struct spdy_head head;
    struct spdy_control control;
    enum err e = spdy_head_decode(bytes, len, &head);

    *ret_found = false;
    if (e)
        return e == ERR_AGAIN
                   ? e
                   : diag_set(why, e, "the API server sent something that is not SPDY");
    if (head.type == SPDY_DATA || head.length > CONTROL_READ_MAX) {
        begin_payload(r, in, &head);
        return OK;
    }
    if (in->len < SPDY_HEAD + head.length)
        return ERR_AGAIN;
    bufq_read(in, bytes, SPDY_HEAD + head.length);
    e = spdy_control_decode(&head, bytes + SPDY_HEAD, &control);
    if (e)
        return diag_set(why, e, "a broken SPDY control frame of type %d", head.type);
    *ret_id = control.id;
    *ret_found = event_of(head.type, ret) == OK;
    return OK;
}

enum err frame_next(struct frame_reader *r, struct bufq *in, enum frame_event *ret,
                    uint32_t *ret_id, struct diag *why)
{
    for (bool found = false; !found;) {
        if (r->left && bufq_empty(in))
            return ERR_AGAIN;
        if (r->left || r->fin) {
            *ret = r->left ? FRAME_PAYLOAD : FRAME_FIN;
            *ret_id = r->id;
            r->fin = r->fin && r->left;
            return OK;
        }
        enum err e = read_head(r, in, ret, ret_id, &found, why);
        if (e)
            return e;
    }
    return OK;
}

static size_t waiting(const struct frame_reader *r, const struct bufq *in)
{
    return in->len < r->left ? in->len : r->left;
}

size_t frame_skip(struct frame_reader *r, struct bufq *in)
{
    size_t n = waiting(r, in);
    bufq_skip(in, n);
    r->left -= (uint32_t)n;
    return n;
}

size_t frame_copy(struct frame_reader *r, struct bufq *in, uint8_t *to, size_t room)
{
    size_t n = bufq_read(in, to, r->left < room ? r->left : room);
    r->left -= (uint32_t)n;
    return n;
}

size_t frame_move(struct frame_reader *r, struct bufq *in, struct bufq *to)
{
    size_t n = bufq_move_n(to, in, r->left);
    r->left -= (uint32_t)n;
    return n;
}
