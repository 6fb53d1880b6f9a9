/* tunnel/mux.h - the pairs of one open tunnel over its transport
 *
 * Private to tunnel/.  Multiplexes: frames of all pairs out, once a turn (flush.c), frames of
 * all pairs in, as bytes come (receive.c).  It has the parts that keep a SPDY connection with
 * the runtime healthy: worker slots and their probe, liveness, and on a shared tunnel the
 * flow control of each pair.
 *
 * Does not know how the transport was made, nor that there are other tunnels: it reports to
 * its owner what concerns those.
 */
#pragma once

#include "tunnel/mux_state.h"

struct loop;

/* `owner` is borrowed, with what it points to. */
void mux_init(struct mux *m, struct mux_owner *owner, struct loop *loop, bool shared);
/* `transport` is taken over; `wire` is what it stands on, or the same. */
void mux_open(struct mux *m, struct stream *transport, struct stream *wire,
              uint64_t ping_ms, uint64_t ping_timeout_ms);
/* Its pairs end with V_TRANSPORT_LOST, and the transport is closed; idempotent. */
void mux_close(struct mux *m, const char *why);
void mux_finish(struct mux *m); /* after mux_close */

/* In each turn in which something happened: read what came, then (mux_advance) free the
 * slots that are proven, start a probe, and wake the flush.  An error of the first, or false
 * from the second (it was retired, and is not needed any more), ends the tunnel. */
MUST_CHECK enum err mux_read(struct mux *m, struct diag *why);
bool mux_advance(struct mux *m);

/* A connection; only where mux_is_available or mux_is_joinable. */
struct stream *mux_connect(struct mux *m, uint16_t port, bool alone);
/* No further pairs; it ends with the last one. */
void mux_retire(struct mux *m);
/* The far end has to show within three seconds that it is alive. */
void mux_check_liveness(struct mux *m);
/* One connection at a time, or several; only where the other allows it. */
void mux_begin_sharing(struct mux *m);
void mux_end_sharing(struct mux *m);

/* Can it take one more connection now, and keep it to itself? */
bool mux_is_available(const struct mux *m);
/* Can it take one more beside those it carries? */
bool mux_is_joinable(const struct mux *m);
/* Has it room for a pair, whether or not it carries others? */
bool mux_takes_pairs(const struct mux *m);
bool mux_in_use(const struct mux *m);      /* a pair is lent */
uint32_t mux_carries(const struct mux *m); /* at once */
/* Did the runtime take everything that closed pairs have sent, as far as can be known? */
bool mux_has_delivered(const struct mux *m);
/* No PING is unanswered, no slot is dead, and everything was taken. */
bool mux_is_quiet(const struct mux *m);
bool mux_may_begin_sharing(const struct mux *m);
bool mux_may_end_sharing(const struct mux *m);

/* Would an answer to a PING be read? */
bool mux_is_listening(const struct mux *m);
