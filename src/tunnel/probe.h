/* tunnel/probe.h - proof that the runtime's workers took what was sent to them
 *
 * Private to tunnel/.  A probe is five PINGs in a row, one for each worker, sent after the
 * FINs of the spent slots.  When all five are answered, the workers have taken everything
 * sent before, and the slots are free.  If a PING is unanswered after PROBE_MS, a worker is
 * stuck.  It is not known which one, so all slots of the probe are dead.
 *
 * The owner decides when to probe, and owns the callbacks of both timers.
 */
#pragma once

#include "base/sched.h"
#include "tunnel/pings.h"
#include "tunnel/worker_slots.h"

#define PROBE_MS 2000
#define PROBE_GATHER_MS 20 /* a shared tunnel waits this long for further spent slots */

struct probe {
    struct pings *pings;        /* borrowed */
    struct worker_slots *slots; /* borrowed */
    struct timer deadline;
    struct timer gather;
    uint32_t first; /* ids of its PINGs: five in a row from this one; 0: none under way */
    unsigned missing; /* bit mask of those unanswered */
};

void probe_init(struct probe *p, struct pings *pings, struct worker_slots *slots,
                struct sched *sched, void (*on_deadline)(struct timer *),
                void (*on_gathered)(struct timer *));
void probe_finish(struct probe *p);

/* False: the transport has no room for five PINGs; try again when it has. */
bool probe_start(struct probe *p);
void probe_on_pong(struct probe *p, uint32_t ping_id);
/* Are all PINGs answered?  True: its slots are free now, and no probe is under way. */
bool probe_is_answered(struct probe *p);
/* The deadline has passed: its slots are dead. */
void probe_fail(struct probe *p);
void probe_extend(struct probe *p); /* one more PROBE_MS */

/* A slot was spent: start the timer that delays the probe for further ones. */
void probe_gather(struct probe *p);
