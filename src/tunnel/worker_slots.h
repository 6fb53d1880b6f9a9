/* tunnel/worker_slots.h - which of the runtime's five workers may get a pair
 *
 * Private to tunnel/; no I/O.  A slot is taken for a pair's data id, and known by it until
 * another pair takes it.  tunnel.c opens with the reasons.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/workers.h"

enum worker_slot {
    SLOT_FREE,
    SLOT_BUSY, /* a pair uses it */
    SLOT_SPENT, /* all that we will send for its pair is queued; a probe has to prove that the
                    worker took it */
    SLOT_PROBED, /* ... and the probe under way will prove it */
    SLOT_DEAD,   /* its pair ended otherwise: the worker may be stuck for ever */
};

struct worker_slots {
    enum worker_slot state[WORKERS];
    uint32_t pair[WORKERS]; /* data id of the pair that had each one last */
};

/* The first free one among those that stream ids from `next_id` on come to; -1: none. */
int slots_find_free(const struct worker_slots *s, uint32_t next_id);
void slots_take(struct worker_slots *s, uint32_t data_id);
/* Our FIN for this pair is queued. */
void slots_on_fin(struct worker_slots *s, uint32_t data_id);
/* Its verdict is known.  A pair that failed may have stopped its worker, unless a probe has
 * proven more since: then the slot is free, or another pair's. */
void slots_on_verdict(struct worker_slots *s, uint32_t data_id, bool clean);

/* Is it not proven yet that the worker took everything of this pair? */
bool slots_await(const struct worker_slots *s, uint32_t data_id);
unsigned slots_count(const struct worker_slots *s, enum worker_slot state);
/* All that are in the first state change to the second. */
void slots_turn(struct worker_slots *s, enum worker_slot from, enum worker_slot to);
