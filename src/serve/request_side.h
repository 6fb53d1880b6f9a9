/* serve/request_side.h - the request of an exchange, from the client to a pod
 *
 * Receives the head from the client's message stream, sends it on the pod's and moves the
 * body, from queue to queue.  What the pod was sent is also kept (relay/retry_buffer.h), so
 * that it can be sent again on another lease.  An exchange sees the parsed head, and how far
 * the request has come.  Private to serve/.
 */
#pragma once

#include "config/config.h"
#include "http/body.h"
#include "net/stream.h"
#include "serve/forwarded.h"
#include "relay/retry_buffer.h"
#include "serve/target.h"

enum request_state {
    REQUEST_UNSENT, /* nothing is sent on this lease */
    REQUEST_REPLAY, /* sending again what was sent on an earlier lease */
    REQUEST_BODY,
    REQUEST_SENT, /* all of it is in the pod's queue */
};

struct message_stream;
struct observed;

struct request_side {
    struct http1_head head; /* parsed, once `known`; its views are the message stream's */
    bool known;
    enum request_state state;
    struct body body;
    bool whole; /* the body was passed on to its end; unset without a body */
    struct body
        stripped; /* of CODING_STRIP: how far chunks were taken off on this lease */
    struct head_text trailers; /* ... and the trailers among them */
    struct retry_buffer retry;
    uint64_t received;         /* bytes of the body that came from the client */
    const char *problem;       /* after an error: what is wrong, as a phrase */
    struct observed *observed; /* borrowed: keeps copies; or NULL */
};

void request_init(struct request_side *r, struct chunk_pool *pool);
void request_finish(struct request_side *r);
/* For the next request. */
void request_clear(struct request_side *r);
/* Free what is more than is worth keeping for the next request. */
void request_shrink(struct request_side *r);

/* Receive the head.  OK: r->head is parsed, and the body has begun.  ERR_AGAIN: it is not
 * complete.  ERR_EOF: it never will be.  ERR_PROTO, ERR_LIMIT: r->problem. */
MUST_CHECK enum err request_receive(struct request_side *r, struct message_stream *client,
                                    const struct config *config);
/* Send it again from its start, on another lease. */
void request_restart(struct request_side *r);
/* Send what is there and fits.  The head goes to `target`.
 * ERR_PROTO, ERR_LIMIT: the body is malformed; ERR_EOF: the client ended in the middle of
 * it; r->problem. */
MUST_CHECK enum err request_send(struct request_side *r, struct message_stream *client,
                                 struct message_stream *pod, const struct target *target,
                                 const struct forwarding *f);
/* The request will not be sent again: frees the copy once it is sent. */
void request_stop_keeping(struct request_side *r);
/* Drop what is there of the rest.  True: nothing is missing, so that another request may
 * follow. */
bool request_discard_rest(struct request_side *r, struct bufq *in);

/* May it be sent again, as far as its bytes are concerned? */
bool request_is_kept(const struct request_side *r);
/* The body has a known length of at most `max`, or there is none. */
bool request_fits(const struct request_side *r, const struct stream *client,
                  uint64_t max);
/* All of it has left for the pod. */
bool request_is_flushed(const struct request_side *r, const struct stream *pod);
