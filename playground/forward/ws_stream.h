/* playground/forward/ws_stream.h - the payload of binary WebSocket messages, as a stream
 *
 * The server's end (RFC 6455): frames from the client are masked, those to it are not;
 * message boundaries have no meaning. Sends as the API server's library does: a message
 * over 4 KiB is one unfinished frame and an empty one that finishes it.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"

/* Call it after the handshake; takes over the stream below. */
struct stream *ws_stream_open(struct loop *l, struct stream *below);
