/* tunnel/usage.h - statistics about the connections to one pod, present and recent
 *
 * Private to tunnel/; pure arithmetic, times come from the caller.  Embedded in pod_tunnels;
 * the pod's tunnels update it.
 */
#pragma once

#include "connect/demand.h"
#include "tunnel/ports.h"

#define USAGE_SMALL_RUN                                                                  \
    256 /* after so many small exchanges in a row a pod's exchanges count as small */

struct usage {
    struct ports ports;
    struct demand demand;
    uint32_t lent;          /* connections in use */
    uint32_t lent_alone;    /* of these, the ones that needed an own tunnel */
    uint32_t waiters;       /* openings that wait for a tunnel */
    uint32_t waiting_alone; /* of these, the ones that need an own tunnel */
    uint32_t small_run; /* exchanges in a row that were small, up to USAGE_SMALL_RUN */
};

void usage_init(struct usage *u);
/* A connection is in use from now on. */
void usage_on_lent(struct usage *u, bool alone, uint64_t now);
/* It is not in use any more; large: it has carried PAIR_LARGE_BYTES. */
void usage_on_returned(struct usage *u, bool alone, bool large);
/* A connection in use has just become large. */
void usage_on_large(struct usage *u);
/* An opening begins to wait; it waits no more, since it has its result or was cancelled. */
void usage_on_waiting(struct usage *u, bool alone, uint64_t now);
void usage_on_served(struct usage *u, bool alone);

/* Were the recent exchanges with this pod small? */
static inline bool usage_is_small(const struct usage *u)
{
    return u->small_run >= USAGE_SMALL_RUN;
}
