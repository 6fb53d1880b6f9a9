/* tunnel/liveness.h - detects a far end that does not answer any more
 *
 * Private to tunnel/.  A PING every ping_ms; a tunnel on which nothing arrives for
 * timeout_ms is dead.  Silence proves nothing while an answer could not arrive: when the
 * tunnel does not read for the sake of a slow client, or PINGs wait behind data that a slow
 * pod has not taken.  Then only the kernel's own keep-alive counts (tcp_is_unanswered).
 *
 * Its owner knows whether an answer could arrive, and owns the timer's callback.
 */
#pragma once

#include "base/sched.h"
#include "tunnel/pings.h"
#include "tunnel/worker_slots.h"

#define LIVENESS_PINGS_MAX 32 /* unanswered: a stuck worker answers none of its PINGs */

struct liveness {
    struct pings *pings;              /* borrowed */
    const struct worker_slots *slots; /* borrowed */
    struct stream *wire; /* borrowed: what TCP or TLS the transport stands on */
    uint64_t ping_ms, timeout_ms;
    struct timer due;
    uint64_t heard_at; /* sched ms: something arrived; 0: must be shown again */
};

void liveness_init(struct liveness *l, struct pings *pings,
                   const struct worker_slots *slots, struct sched *sched,
                   void (*on_due)(struct timer *));
void liveness_start(struct liveness *l, struct stream *wire, uint64_t ping_ms,
                    uint64_t timeout_ms);
void liveness_stop(struct liveness *l);
/* Something arrived; or the silence was ours, and counts from now. */
void liveness_on_heard(struct liveness *l);

/* When `due` has fired.  listening: an answer to a PING would be read; conclusive: and it
 * would not wait behind data.  False: dead.  Else the timer is set again, and *ret_sent: PINGs
 * were queued. */
bool liveness_check(struct liveness *l, bool listening, bool conclusive, bool *ret_sent);
/* Something must arrive within three seconds.  False: there is no room for a PING, and
 * nothing has changed. */
bool liveness_demand(struct liveness *l);
