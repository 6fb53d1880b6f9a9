/* tunnel/mux.h - multiplexes the pairs of one open tunnel over its transport
 *
 * Private to tunnel/.  Sends the frames of all pairs once a turn (flush.c), and passes
 * received frames to the pairs (receive.c).  Its parts work around the properties of the
 * runtime's SPDY server: worker slots and their probe, the liveness check, and on a shared
 * tunnel the flow control of each pair.
 *
 * It knows neither how the transport was made nor other tunnels; it reports to its owner
 * (struct mux_owner_ops).
 */
#pragma once

#include "tunnel/mux_state.h"

struct loop;

/* `owner` is borrowed, and all that it points to. */
void mux_init(struct mux *m, struct mux_owner *owner, struct loop *loop, bool shared);
/* The mux owns `transport` from now on; `wire` is the TCP or TLS stream below it, or the same
 * stream. */
void mux_open(struct mux *m, struct stream *transport, struct stream *wire,
              uint64_t ping_ms, uint64_t ping_timeout_ms);
/* Its pairs end with V_TRANSPORT_LOST, and the transport is closed; idempotent. */
void mux_close(struct mux *m, const char *why);
void mux_finish(struct mux *m); /* after mux_close */

/* Called in this order in each turn in which something happened.  mux_read handles received
 * frames; an error ends the tunnel.  mux_advance frees the slots that are proven, starts a
 * probe, and wakes the flush; false: it was retired and its last pair is gone, so the tunnel
 * is to be closed. */
MUST_CHECK enum err mux_read(struct mux *m, struct diag *why);
bool mux_advance(struct mux *m);

/* Open a connection to the port; only where mux_is_available or mux_is_joinable. */
struct stream *mux_connect(struct mux *m, uint16_t port, bool alone);
/* It gets no further pairs, and is closed after the last one. */
void mux_retire(struct mux *m);
/* The far end must answer a PING within three seconds. */
void mux_check_liveness(struct mux *m);
/* Make it a shared tunnel, or an own one; only where mux_may_begin_sharing, or
 * mux_may_end_sharing, returns true. */
void mux_begin_sharing(struct mux *m);
void mux_end_sharing(struct mux *m);

/* Has it room for a pair, and no other pair? */
bool mux_is_available(const struct mux *m);
/* Is it shared, with room for a pair beside the others? */
bool mux_is_joinable(const struct mux *m);
/* Has it room for a pair, whether or not it carries others? */
bool mux_takes_pairs(const struct mux *m);
bool mux_in_use(const struct mux *m); /* a pair is lent */
uint32_t
mux_capacity(const struct mux *m); /* how many pairs it may carry at the same time */
/* Is it known that the runtime took everything that closed pairs have sent? */
bool mux_has_delivered(const struct mux *m);
/* No PING is unanswered, no slot is dead, and the runtime took everything. */
bool mux_is_quiet(const struct mux *m);
bool mux_may_begin_sharing(const struct mux *m);
bool mux_may_end_sharing(const struct mux *m);

/* Could the reply to a PING arrive and be read? */
bool mux_can_receive_pong(const struct mux *m);
