/* http/body.c - how much of a queue is body, and moving it on */
#include "http/body.h"

#include "http/whole.h"

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
    case BODY_TO_END:
        *ret = available;
        return OK;
    default:
        *ret = 0;
        return OK;
    }
}

/* Trailers are the last of the framing: the decoder counts them from their first byte on, and
 * counts what is dropped between a name and its colon, too.  The blank line is not kept. */
static void keep_trailers(struct body *b, const struct bufq *from,
                          const struct http1_piece *piece, uint32_t before)
{
    uint8_t bytes[256];
    size_t n = http1_chunked_trailers(&b->chunked) - before;
    size_t at = piece->dropped + piece->framing;

    if (!b->trailers || n == 0)
        return;
    n -= before ? piece->dropped : 0;
    for (at -= n; n;) {
        size_t part = bufq_copy(from, at, bytes, min(n, sizeof(bytes)));
        head_text_put(b->trailers, from->pool, (struct str){ (char *)bytes, part });
        at += part;
        n -= part;
    }
    if (piece->done)
        b->trailers->len -= 2;
}

/* Decode the next piece, of at most `max` bytes; *ret_len is how long it was. */
static enum err move_piece(struct body *b, struct bufq *from, size_t max, struct bufq *to,
                           size_t *ret_len)
{
    size_t run;
    const uint8_t *at = bufq_peek(from, &run);
    struct http1_piece piece;
    uint32_t before = http1_chunked_trailers(&b->chunked);

    enum err e = http1_chunked_decode(&b->chunked, at, min(run, max), &piece);
    if (e)
        return e;
    keep_trailers(b, from, &piece, before);
    bufq_skip(from, piece.dropped + piece.framing);
    bufq_move_n(to, from, piece.payload);
    b->done = piece.done;
    *ret_len = piece.dropped + piece.framing + piece.payload;
    return OK;
}

static enum err move_decoded(struct body *b, struct bufq *from, struct bufq *to,
                             size_t *ret_moved)
{
    size_t before = to->len;

    while (!b->done && !bufq_empty(from) && !bufq_full(to)) {
        size_t len;
        enum err e = move_piece(b, from, bufq_room(to), to, &len);
        if (e)
            return e;
    }
    *ret_moved = to->len - before;
    return OK;
}

enum err body_strip(struct body *b, struct bufq *from, size_t n, struct bufq *to)
{
    size_t limit = to->limit, len = 0;
    enum err e = OK;

    to->limit = SIZE_MAX;
    for (; n && !e; n -= len)
        e = move_piece(b, from, n, to, &len);
    to->limit = limit;
    return e;
}

void body_put_chunk(struct bufq *to, struct bufq *from, size_t n)
{
    char head[HTTP1_CHUNK_HEAD_MAX];
    size_t limit = whole_begin(to);

    bufq_write(to, head, http1_chunk_head_encode(n, head));
    bufq_move_n(to, from, n);
    put_str(to, STR("\r\n"));
    whole_end(to, limit);
}

void body_end_chunks(struct bufq *to, struct str trailers)
{
    size_t limit = whole_begin(to);

    put_str(to, STR("0\r\n"));
    put_str(to, trailers);
    put_str(to, STR("\r\n"));
    whole_end(to, limit);
}

static enum err move_encoded(struct body *b, struct bufq *from, struct bufq *to,
                             size_t *ret_moved)
{
    *ret_moved = 0;
    for (;;) {
        size_t room = bufq_room(to), n;
        if (room <= BODY_CHUNK_OVERHEAD)
            return OK;
        enum err e = body_measure(b, from, room - BODY_CHUNK_OVERHEAD, &n);
        if (e || n == 0)
            return e;
        body_put_chunk(to, from, n);
        *ret_moved += n;
    }
}

enum err body_move(struct body *b, struct bufq *from, struct bufq *to,
                   enum body_coding coding, size_t *ret_moved)
{
    size_t moved = 0;

    if (coding == CODING_STRIP && b->framing == BODY_CHUNKED)
        return move_decoded(b, from, to, ret_moved);
    if (coding == CODING_CHUNKS)
        return move_encoded(b, from, to, ret_moved);
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
