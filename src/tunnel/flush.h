/* tunnel/flush.h - what the pairs have, as SPDY frames to the transport
 */
#pragma once

#include "tunnel/mux_state.h"

/* Once per turn.  Pairs that are closed and have `fin_sent` then are still in m->pairs. */
void flush_frames(struct mux *m);
