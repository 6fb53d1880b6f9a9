/* connect/demand.h - the recent peak of simultaneous connections to a pod
 *
 * Pure arithmetic; the caller passes the time.  The peak is halved every DEMAND_HALF_MS since
 * it was last reached.  `wanted` is the number of connections for which tunnels should be
 * open: at each new peak it is the peak and DEMAND_PREWARMED more, then it is halved like the
 * peak.  A peak of one adds none.
 */
#pragma once

#include <stdint.h>

#define DEMAND_HALF_MS 60000
#define DEMAND_PREWARMED(peak) ((peak) > 1 ? 1 + (peak) / 8 : 0)

struct demand {
    uint32_t peak;            /* connections at the same time */
    uint32_t alone;           /* of these, those that needed an own tunnel */
    uint32_t wanted;          /* connections for which tunnels should be open */
    uint64_t since;           /* ms: when the peak was reached, or halved, last */
    uint64_t last_opening_at; /* ms: when a connection was requested last */
};

/* A new connection makes `concurrent` of them. */
void demand_note(struct demand *d, uint32_t concurrent, uint64_t now);
/* Of the connections, `concurrent` need an own tunnel; call after demand_note. */
void demand_note_alone(struct demand *d, uint32_t concurrent);
/* Expect `concurrent` connections, a part of the demand `of`, which belonged to other pods. */
void demand_expect(struct demand *d, uint32_t concurrent, const struct demand *of);
/* Reduce all numbers to `enough`, since tunnels beyond that were not used. */
void demand_limit(struct demand *d, uint32_t enough);
/* Halve the peak for the time that has passed; call before reading peak or wanted. */
void demand_decay(struct demand *d, uint64_t now);
/* Add the demand of another pod. */
void demand_add(struct demand *d, const struct demand *other);
