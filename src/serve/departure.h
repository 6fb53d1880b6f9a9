/* serve/departure.h - has the client of a raw connection gone?
 *
 * A client that sends no more may still wait for the rest, or be gone; and one that is not read
 * from could go without a sign.  What it sent before it went is passed on, as long as the pod goes
 * on taking it.  Private to serve/.
 */
#pragma once

#include "net/peer.h"

struct departure {
    struct peer_watch peer; /* from the end of the client's input on */
    struct timer linger;    /* for what the client sent before it went */
    uint64_t linger_until;  /* sched ms; 0: not yet */
    uint64_t lingered;      /* bytes that were passed on when that was set */
    struct task *wake;
};

/* *wake is woken when the client is found to be gone, and when its bytes were passed on for too
 * long without progress. */
void departure_init(struct departure *d, struct sched *sched, struct task *wake);
/* Has the client gone?  A client is watched from the first call in which it might have. */
bool departure_check(struct departure *d, const struct stream *client);
/* Of a client that has gone, with bytes that are not passed on yet.  passed: those that are.  Is
 * it worth waiting? */
bool departure_lingers(struct departure *d, uint64_t passed);
void departure_stop(struct departure *d); /* idempotent */
