/* tunnel/frame_reader.h - parse SPDY frames from a queue of bytes
 *
 * Private to tunnel/; no I/O, and no use of pairs.  Returns one event at a time.  The payload of
 * a data frame is not copied: it stays at the front of the queue until the caller has moved
 * or skipped it with the functions below.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bufq.h"
#include "base/err.h"

enum frame_event {
    FRAME_PAYLOAD, /* bytes of a data frame are at the front of the queue: take some */
    FRAME_FIN,     /* the far end has ended this stream */
    FRAME_RESET,
    FRAME_REPLY,
    FRAME_PONG, /* id: the PING's */
    FRAME_GOAWAY,
};

struct frame_reader {
    uint32_t id; /* stream id of the data frame that is being read; 0: drop the payload */
    uint32_t left; /* bytes of its payload that have not been taken */
    bool fin;      /* FRAME_FIN follows them */
};

/* Returns ERR_AGAIN when the queue has no complete event, OK with *ret and *ret_id (payload
 * with id 0 is of no interest: skip it), or a protocol error. */
MUST_CHECK enum err frame_next(struct frame_reader *r, struct bufq *in,
                               enum frame_event *ret, uint32_t *ret_id, struct diag *why);

/* After FRAME_PAYLOAD: take bytes off the front; return how many. */
size_t frame_skip(struct frame_reader *r, struct bufq *in);
size_t frame_copy(struct frame_reader *r, struct bufq *in, uint8_t *to, size_t room);
size_t frame_move(struct frame_reader *r, struct bufq *in, struct bufq *to);

/* Is payload waiting in the queue that the caller did not take? */
static inline bool frame_is_waiting(const struct frame_reader *r, const struct bufq *in)
{
    return r->left && !bufq_empty(in);
}
