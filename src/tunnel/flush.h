/* tunnel/flush.h - frame the bytes of the pairs, and queue them on the transport
 */
#pragma once

#include "tunnel/mux_state.h"

/* Called once per turn of the loop.  Closed pairs whose FIN it has queued stay in m->pairs. */
void flush_frames(struct mux *m);
