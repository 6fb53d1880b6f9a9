/* http/body.c - how much of a queue is body, and moving it on */
#include "http/body.h"

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

void body_init(struct body *b, const struct http1_head *head)
{
    *b = (struct body){
        .framing = head->framing,
        .left = head->length,
        .chunked.answer = head->status > 0,
    };
    b->done = b->framing == BODY_NONE || (b->framing == BODY_LENGTH && b->left == 0);
}

static size_t measure_length(struct body *b, size_t max)
{
    size_t n = b->left < max ? (size_t)b->left : max;

    b->left -= n;
    b->done = b->left == 0;
    return n;
}

/* Of the bytes that lie together: all of a chunk of the queue at once, so that it can be
 * handed over whole.  What is right before something wrong goes first: it would have gone, had
 * it come a moment earlier. */
static enum err measure_chunked(struct body *b, const struct bufq *from, size_t max,
                                size_t *ret)
{
    size_t run, total = 0;
    const uint8_t *at = bufq_peek(from, &run);

    run = min(run, max);
    while (total < run && !b->done && !b->failed) {
        struct http1_piece piece;
        if (total && http1_chunked_drops(&b->chunked, (char)at[total]))
            break;
        b->failed = http1_chunked_decode(&b->chunked, at + total, run - total, &piece);
        if (b->failed)
            break;
        b->dropped += piece.dropped;
        total += piece.dropped + piece.framing + piece.payload;
        b->done = piece.done;
    }
    *ret = total - b->dropped;
    return total ? OK : b->failed;
}

enum err body_measure(struct body *b, const struct bufq *from, size_t max, size_t *ret)
{
    size_t available = min(from->len, max);

    b->dropped = 0;
    if (b->done)
        available = 0;
    switch (available ? b->framing : BODY_NONE) {
    case BODY_LENGTH:
        *ret = measure_length(b, available);
        return OK;
    case BODY_CHUNKED:
        return measure_chunked(b, from, available, ret);
    case BODY_TO_EOF:
        *ret = available;
        return OK;
    default:
        *ret = 0;
        return OK;
    }
}

static enum err move_decoded(struct body *b, struct bufq *from, struct bufq *to,
                             size_t *ret_moved)
{
    size_t moved = 0;

    while (!b->done && !bufq_empty(from) && !bufq_full(to)) {
        size_t run;
        const uint8_t *at = bufq_peek(from, &run);
        struct http1_piece piece;
        enum err e =
            http1_chunked_decode(&b->chunked, at, min(run, bufq_room(to)), &piece);
        if (e)
            return e;
        bufq_skip(from, piece.dropped + piece.framing);
        moved += bufq_move_n(to, from, piece.payload);
        b->done = piece.done;
    }
    *ret_moved = moved;
    return OK;
}

enum err body_move(struct body *b, struct bufq *from, struct bufq *to, bool decode,
                   size_t *ret_moved)
{
    size_t moved = 0;

    if (decode && b->framing == BODY_CHUNKED)
        return move_decoded(b, from, to, ret_moved);
    for (;;) {
        size_t n;
        enum err e = body_measure(b, from, bufq_room(to), &n);
        *ret_moved = moved;
        if (e || n + b->dropped == 0)
            return e;
        bufq_skip(from, b->dropped);
        moved += bufq_move_n(to, from, n);
    }
}

enum err body_discard(struct body *b, struct bufq *from)
{
    for (;;) {
        size_t n;
        enum err e = body_measure(b, from, SIZE_MAX, &n);
        if (e || n + b->dropped == 0)
            return e;
        bufq_skip(from, b->dropped + n);
    }
}
