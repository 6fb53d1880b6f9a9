/* relay/relay.h - carry bytes both ways between a client and a pod
 *
 * Borrows two streams until relay_done() returns true; the owner then closes or resets them,
 * depending on relay_clean().  The relay has no task of its own: both streams and the timer
 * wake the owner's task, which calls relay_run.
 */
#pragma once

#include "net/stream.h"

struct relay {
    struct stream *client, *pod;
    bool half_close;   /* pass the client's end of input on to the pod at once */
    bool hold_up;      /* set by the owner: move no bytes to the pod yet */
    unsigned expired;  /* how often the grace timer has fired */
    uint64_t up, down; /* bytes moved to the pod, and to the client */
    struct timer grace;
    struct task *wake;
};

/* Both streams wake `wake` already. */
void relay_start(struct relay *r, struct stream *client, struct stream *pod,
                 bool half_close, struct task *wake);
/* Move what can be moved, and pass ends on. */
void relay_run(struct relay *r);
bool relay_done(const struct relay *r);
/* Call once done.  True: both streams have ended without an error.  False: the client must be
 * reset, since after an orderly close it would take truncated data for complete. */
bool relay_clean(const struct relay *r);
void relay_finish(struct relay *r); /* idempotent; a zeroed struct is accepted */
