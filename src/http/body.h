/* http/body.h - how much of a queue is body, and moving it on
 *
 * A message's body as it lies in a queue of bytes: so many bytes, chunks, or all that
 * comes.  Bodies are passed on as they stand, coding included, but for the chunk
 * extensions and needless blanks of answers; only for a client that knows no chunks is
 * the coding taken off.  Nothing is copied: queues hand chunks over.
 */
#pragma once

#include "base/bufq.h"
#include "http/head_text.h"
#include "wire/http1.h"

/* How the bytes of a body change on their way to the other side. */
enum body_coding {
    CODING_NONE,   /* as they stand, framing of HTTP/1 included */
    CODING_STRIP,  /* chunks become plain bytes */
    CODING_CHUNKS, /* plain bytes become chunks */
};

struct body {
    enum http1_framing framing;
    bool done;
    uint64_t left; /* of a BODY_LENGTH */
    struct http1_chunked chunked;
    size_t dropped;  /* see body_measure */
    enum err failed; /* of the chunks behind what was taken last */
    struct head_text
        *trailers; /* set by the caller after body_init: where CODING_STRIP puts
                                   the lines of trailers; NULL: they are dropped */
};

void body_init(struct body *b, const struct http1_head *head);

/* How many of the first bytes of `from`, at most max, belong to the body.  The caller
 * must take exactly these before the next call.  In answers b->dropped bytes come before
 * them, which the caller must skip.  Both 0: nothing is there, or the body is
 * done.  A BODY_TO_EOF is never done by itself: the caller knows when its stream ended.
 * ERR_PROTO, ERR_LIMIT: not chunks; b->chunked.problem has the reason. */
MUST_CHECK enum err body_measure(struct body *b, const struct bufq *from, size_t max,
                                 size_t *ret);

/* Move what is there and fits; *ret_moved counts what arrived in `to`, without what
 * CODING_CHUNKS adds.  Errors as above. */
MUST_CHECK enum err body_move(struct body *b, struct bufq *from, struct bufq *to,
                              enum body_coding coding, size_t *ret_moved);

/* Take the chunked coding off the next n bytes of `from`, which body_measure has found right;
 * their payload goes to `to`, whatever room it has. */
MUST_CHECK enum err body_strip(struct body *b, struct bufq *from, size_t n,
                               struct bufq *to);

/* What a chunk needs in a queue besides its payload. */
#define BODY_CHUNK_OVERHEAD (HTTP1_CHUNK_HEAD_MAX + 2)
/* The first n bytes of `from` as one chunk; `to` has room for them and the overhead. */
void body_put_chunk(struct bufq *to, struct bufq *from, size_t n);
/* The last chunk and the trailers, whole: lines with their CRLF, or none. */
void body_end_chunks(struct bufq *to, struct str trailers);

/* Drop what is there of it.  Errors as above. */
MUST_CHECK enum err body_discard(struct body *b, struct bufq *from);
