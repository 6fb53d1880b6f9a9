/* relay/relay.h - carry bytes both ways between a client and a pod
 *
 * Borrows two streams and hands both back, still open, when relay_done() turns true; the
 * owner closes them (relay_clean returns whether in order or by a reset).  Has no
 * task: its owner's is the wake of both streams and of the timer, and calls relay_run.
 */
#pragma once

#include "net/stream.h"

struct relay {
    struct stream *client, *pod;
    bool half_close;   /* the client's end of input goes to the pod at once */
    bool hold_up;      /* set by the owner: nothing goes to the pod yet */
    unsigned expired;  /* how often the grace timer has ended */
    uint64_t up, down; /* bytes moved towards the pod, and from it */
    struct timer grace;
    struct task *wake;
};

/* Both streams wake `wake` already. */
void relay_start(struct relay *r, struct stream *client, struct stream *pod,
                 bool half_close, struct task *wake);
/* Move what can be moved, and pass ends on. */
void relay_run(struct relay *r);
bool relay_done(const struct relay *r);
/* Once done: both sides have ended in order.  If not, the client must be reset: after an
 * orderly end it would take what it has for complete. */
bool relay_clean(const struct relay *r);
void relay_finish(struct relay *r); /* idempotent; a zeroed struct is accepted */
