/* http/body.h - how much of a queue is body, and moving it on
 *
 * A message's body as it lies in a queue of bytes: so many bytes, chunks, or all that
 * comes.  Bodies are passed on as they stand, coding included, but for the chunk
 * extensions and needless blanks of answers; only for a client that knows no chunks is
 * the coding taken off.  Nothing is copied: queues hand chunks over.
 */
#pragma once

#include "base/bufq.h"
#include "wire/http1.h"

struct body {
    enum http1_framing framing;
    bool done;
    uint64_t left; /* of a BODY_LENGTH */
    struct http1_chunked chunked;
    size_t dropped;  /* see body_measure */
    enum err failed; /* of the chunks behind what was taken last */
};

void body_init(struct body *b, const struct http1_head *head);

/* How many of the first bytes of `from`, at most max, belong to the body.  The caller
 * must take exactly these before the next call.  In answers b->dropped bytes come before
 * them, which the caller must skip.  Both 0: nothing is there, or the body is
 * done.  A BODY_TO_EOF is never done by itself: the caller knows when its stream ended.
 * ERR_PROTO, ERR_LIMIT: not chunks; b->chunked.problem has the reason. */
MUST_CHECK enum err body_measure(struct body *b, const struct bufq *from, size_t max,
                                 size_t *ret);

/* Move what is there and fits; *ret_moved counts what arrived in `to`.  With `decode` a
 * BODY_CHUNKED arrives without its coding.  Errors as above. */
MUST_CHECK enum err body_move(struct body *b, struct bufq *from, struct bufq *to,
                              bool decode, size_t *ret_moved);

/* Drop what is there of it.  Errors as above. */
MUST_CHECK enum err body_discard(struct body *b, struct bufq *from);
