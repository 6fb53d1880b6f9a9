/* tunnel/receive.h - read SPDY frames from the transport, and pass them to the pairs
 */
#pragma once

#include "tunnel/mux_state.h"

/* *ret_retire: the tunnel should get no further pairs.  Returns OK or a protocol error. */
MUST_CHECK enum err receive_frames(struct mux *m, bool *ret_retire, struct diag *why);
