/* tunnel/websocket.h - the second transport: SPDY bytes inside WebSocket messages
 *
 * A stream on top of another stream, used after the upgrade response (see KEP-4006, and the
 * API server's pkg/util/proxy/streamtunnel.go).  All messages are binary, and their boundaries
 * have no meaning.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"

/* The result owns `below`. */
struct stream *websocket_open(struct loop *l, struct stream *below);
