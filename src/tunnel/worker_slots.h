/* tunnel/worker_slots.h - which of the runtime's five workers may get a pair
 *
 * Private to tunnel/; no I/O.  A slot is taken for a pair, and records its data id until
 * another pair takes the slot.  The reasons are at the start of tunnel.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/workers.h"

enum worker_slot {
    SLOT_FREE,
    SLOT_BUSY,   /* a pair uses it */
    SLOT_SPENT,  /* the last frame for its pair is queued; a probe has to prove that the
                    worker took it */
    SLOT_PROBED, /* the probe under way will prove that */
    SLOT_DEAD,   /* its pair ended with an error: the worker may be stuck for ever */
};

struct worker_slots {
    enum worker_slot state[WORKERS];
    uint32_t pair[WORKERS]; /* data id of the pair that had each one last */
    bool overrun[WORKERS];  /* that pair may have filled the worker's queue */
};

/* The first free slot in the order in which stream ids from `next_id` on use them; -1: none. */
int slots_find_free(const struct worker_slots *s, uint32_t next_id);
void slots_take(struct worker_slots *s, uint32_t data_id);
/* Our FIN for this pair is queued.  overrun: see struct pair. */
void slots_on_fin(struct worker_slots *s, uint32_t data_id, bool overrun);
/* Was an overrun not yet proven to be over?  Then the runtime may read nothing of this tunnel. */
bool slots_may_block(const struct worker_slots *s);
/* The verdict of this pair is known.  If it is not clean, the worker may be stuck, so the slot
 * is dead, unless a probe has freed it before. */
void slots_on_verdict(struct worker_slots *s, uint32_t data_id, bool clean);

/* Is it not proven yet that the worker took everything of this pair? */
bool slots_is_unproven(const struct worker_slots *s, uint32_t data_id);
unsigned slots_count(const struct worker_slots *s, enum worker_slot state);
/* Change all slots in state `from` to state `to`. */
void slots_change_state(struct worker_slots *s, enum worker_slot from,
                        enum worker_slot to);
