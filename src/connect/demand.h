/* connect/demand.h - how many connections at once a pod had lately
 *
 * Pure arithmetic on a clock that the caller reads.  The most at once is remembered and
 * halved every DEMAND_HALF_MS from when it was last reached.  `wanted` is for how many there
 * should be open tunnels: that many, and some more while it rises.  One connection alone is
 * no trend, and no tunnel is prewarmed for it.
 */
#pragma once

#include <stdint.h>

#define DEMAND_HALF_MS 60000
#define DEMAND_PREWARMED(peak) ((peak) > 1 ? 1 + (peak) / 8 : 0)

struct demand {
    uint32_t peak;     /* that really were there */
    uint32_t alone;    /* of these, the ones that wanted a tunnel to themselves */
    uint32_t wanted;   /* for which there should be tunnels */
    uint64_t since;    /* ms: one of them was reached */
    uint64_t asked_at; /* ms: anybody asked */
};

/* So many are there now, one of them new. */
void demand_note(struct demand *d, uint32_t at_once, uint64_t now);
/* So many of those wanted a tunnel to themselves; after demand_note. */
void demand_note_alone(struct demand *d, uint32_t at_once);
/* So many may come, of those who were here before: `of` says when that was. */
void demand_expect(struct demand *d, uint32_t at_once, const struct demand *of);
/* Nobody used the others for long. */
void demand_limit(struct demand *d, uint32_t enough);
/* Let time pass; call before reading peak or wanted. */
void demand_decay(struct demand *d, uint64_t now);
/* Those of another pod come on top. */
void demand_add(struct demand *d, const struct demand *other);
