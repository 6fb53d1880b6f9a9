/* tunnel/liveness.h - is there anybody at the other end?
 *
 * Private to tunnel/.  A PING every ping_ms; a tunnel from which nothing came for
 * ping_timeout_ms, while we could have heard it, is closed.  After a change of network all
 * of its workers are asked at once (tunnel_probe).
 */
#pragma once

#include "tunnel/tunnel.h"

void liveness_init(struct tunnel *t);
void liveness_start(struct tunnel *t); /* it is open */
void liveness_stop(struct tunnel *t);
