/* tunnel/websocket.h - the second transport: SPDY bytes inside WebSocket messages
 *
 * A stream on a stream, after the upgrade was answered (facts: KEP-4006; apiserver
 * pkg/util/proxy/streamtunnel.go).  Message boundaries mean nothing; all is binary.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"

/* `below` is taken over. */
struct stream *websocket_open(struct loop *l, struct stream *below);
