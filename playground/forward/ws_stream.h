/* playground/forward/ws_stream.h - the bytes inside binary messages, as a stream
 *
 * The server's end (RFC 6455): peers must mask, we do not; message boundaries mean
 * nothing. Sends the way the API server's library does: a message over 4 KiB is one
 * unfinished frame and an empty one that finishes it.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"

/* The handshake is done; takes the stream below over. */
struct stream *ws_stream_open(struct loop *l, struct stream *below);
