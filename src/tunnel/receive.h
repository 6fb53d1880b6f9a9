/* tunnel/receive.h - SPDY frames from the transport to the pairs
 */
#pragma once

#include "tunnel/mux_state.h"

/* *ret_retire: the tunnel should get no further pairs.  An error is of the protocol. */
MUST_CHECK enum err receive_frames(struct mux *m, bool *ret_retire, struct diag *why);
