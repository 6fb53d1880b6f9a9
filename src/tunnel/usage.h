/* tunnel/usage.h - how the connections to one pod are used, now and lately
 *
 * Private to tunnel/; arithmetic on a clock that the caller reads.  Embedded in the pod and
 * lent to its tunnels, which record in it what happens to their connections.
 */
#pragma once

#include "connect/demand.h"
#include "tunnel/ports.h"

#define USAGE_SMALL_RUN                                                                  \
    256 /* small exchanges in a row, and the pod's exchanges are small */

struct usage {
    struct ports ports;
    struct demand demand;
    uint32_t lent;          /* connections in use */
    uint32_t lent_alone;    /* of these, the ones that wanted a tunnel to themselves */
    uint32_t waiters;       /* openings that wait for a connection */
    uint32_t waiting_alone; /* of these, the ones that want a tunnel to themselves */
    uint32_t small_run; /* exchanges in a row that were small, up to USAGE_SMALL_RUN */
};

void usage_init(struct usage *u);
/* A connection is in use. */
void usage_on_lent(struct usage *u, bool alone, uint64_t now);
/* ... and not any more; large: it has carried PAIR_LARGE_BYTES. */
void usage_on_returned(struct usage *u, bool alone, bool large);
/* A connection in use has just become large. */
void usage_on_large(struct usage *u);
/* An opening waits; it has got a connection, or was given up. */
void usage_on_waiting(struct usage *u, bool alone, uint64_t now);
void usage_on_served(struct usage *u, bool alone);

/* What this pod exchanged lately was small. */
static inline bool usage_is_small(const struct usage *u)
{
    return u->small_run >= USAGE_SMALL_RUN;
}
