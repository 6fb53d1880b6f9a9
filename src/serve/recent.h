/* serve/recent.h - how many requests there were in the last minute
 *
 * Counted in slots of five seconds, so that nothing runs while there are no requests.  Private
 * to serve/.
 */
#pragma once

#include <stdint.h>

#define RECENT_SLOTS 13 /* a minute, and the slot that is being filled */
#define RECENT_SLOT_MS 5000

struct recent {
    struct recent_slot {
        uint64_t number; /* of the slot: its time / RECENT_SLOT_MS */
        uint32_t requests, failures;
    } slots[RECENT_SLOTS];
    uint64_t since; /* sched ms: the first request; 0: none yet */
};

struct serve_rate;

/* A request has ended; failed: with a 5xx. */
static inline void recent_note(struct recent *r, uint64_t now, int failed)
{
    uint64_t number = now / RECENT_SLOT_MS;
    struct recent_slot *slot = &r->slots[number % RECENT_SLOTS];

    if (slot->number != number)
        *slot = (struct recent_slot){ .number = number };
    slot->requests++;
    slot->failures += failed != 0;
    if (!r->since)
        r->since = now;
}

struct serve_rate recent_rate(const struct recent *r, uint64_t now);
