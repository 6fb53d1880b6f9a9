/* connect/demand.h - how many connections at once a pod had lately
 *
 * Pure arithmetic on a clock that the caller reads.  The maximum at the same time is
 * remembered, and halved every DEMAND_HALF_MS from when it was last reached.  `wanted` is the
 * number of connections for which tunnels should be open: the maximum, and
 * DEMAND_PREWARMED more while it rises.  A single connection adds none.
 */
#pragma once

#include <stdint.h>

#define DEMAND_HALF_MS 60000
#define DEMAND_PREWARMED(peak) ((peak) > 1 ? 1 + (peak) / 8 : 0)

struct demand {
    uint32_t peak;     /* connections at the same time */
    uint32_t alone;    /* of these, those that needed an own tunnel */
    uint32_t wanted;   /* connections for which tunnels should be open */
    uint64_t since;    /* ms: when one of them was reached last */
    uint64_t asked_at; /* ms: of the last opening */
};

/* There are so many connections now, one of them new. */
void demand_note(struct demand *d, uint32_t at_once, uint64_t now);
/* So many of them need an own tunnel; after demand_note. */
void demand_note_alone(struct demand *d, uint32_t at_once);
/* So many of the connections in `of` may be opened here. */
void demand_expect(struct demand *d, uint32_t at_once, const struct demand *of);
/* The tunnels beyond so many were not used: they are not wanted. */
void demand_limit(struct demand *d, uint32_t enough);
/* Apply the time that has passed; call before reading peak or wanted. */
void demand_decay(struct demand *d, uint64_t now);
/* Add the demand of another pod. */
void demand_add(struct demand *d, const struct demand *other);
