/* tunnel/liveness.h - detects a far end that does not answer any more
 *
 * Private to tunnel/.  Sends a PING every ping_ms; a tunnel on which nothing is received for
 * timeout_ms is dead.  Silence proves nothing while the reply to a PING could not arrive: when
 * the transport is not read because of a slow client, or PINGs wait behind data that a slow
 * pod has not taken.  Then only TCP decides: data or keep-alive probes that the peer's kernel
 * does not acknowledge (tcp_is_unanswered).
 *
 * The owner knows whether a reply could arrive, and owns the timer's callback.
 */
#pragma once

#include "base/sched.h"
#include "tunnel/pings.h"
#include "tunnel/worker_slots.h"

#define LIVENESS_PINGS_MAX 32 /* no PING is sent while this many are unanswered */

struct liveness {
    struct pings *pings;              /* borrowed */
    const struct worker_slots *slots; /* borrowed */
    struct stream *wire; /* borrowed: the TCP or TLS stream below the transport */
    uint64_t ping_ms, timeout_ms;
    struct timer due;
    uint64_t received_at; /* sched ms: when bytes were last received; 0: since
                          liveness_check_now none were */
};

void liveness_init(struct liveness *l, struct pings *pings,
                   const struct worker_slots *slots, struct sched *sched,
                   void (*on_due)(struct timer *));
void liveness_start(struct liveness *l, struct stream *wire, uint64_t ping_ms,
                    uint64_t timeout_ms);
void liveness_stop(struct liveness *l);
/* Bytes were received; or the transport was not read until now. */
void liveness_on_received(struct liveness *l);

/* Call when `due` has fired.  can_receive_pong: the reply to a PING would be read; conclusive:
 * and the PING does not wait behind data, so that silence counts.  False: the tunnel is dead.
 * Else the timer is set again; *ret_sent: PINGs were queued. */
bool liveness_check(struct liveness *l, bool can_receive_pong, bool conclusive,
                    bool *ret_sent);
/* Send PINGs; the tunnel is dead if no bytes are received within three seconds.  False: the
 * transport has no room for a PING, and nothing has changed. */
bool liveness_check_now(struct liveness *l);
