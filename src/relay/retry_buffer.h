/* relay/retry_buffer.h - the bytes of a request that may have to be sent again
 *
 * A copy of what was read from the client, up to a limit, while nothing has come back from
 * the pod.  It is complete or useless: once a byte did not fit, the request cannot be sent
 * again.  Free of HTTP.
 */
#pragma once

#include "base/bufq.h"

struct retry_buffer {
    struct bufq held;
    bool complete;   /* `held` is all that was read */
    size_t replayed; /* bytes of `held` that were sent on this lease */
};

void retry_buffer_init(struct retry_buffer *b, struct chunk_pool *pool);
void retry_buffer_finish(struct retry_buffer *b);
/* For the next request: nothing has been read. */
void retry_buffer_start(struct retry_buffer *b, size_t limit);
/* Copy the first n bytes of `from`, which are about to be sent.  Drops everything where they
 * do not fit, or where memory is short. */
void retry_buffer_keep(struct retry_buffer *b, const struct bufq *from, size_t n);
/* Nothing of it has been sent on the next lease. */
void retry_buffer_rewind(struct retry_buffer *b);
/* Send what has not been sent on this lease, as far as `out` has room.  True: all of it. */
bool retry_buffer_replay(struct retry_buffer *b, struct bufq *out);
/* The request will not be sent again: drops the copy once all of it has been sent. */
void retry_buffer_stop(struct retry_buffer *b);
