/* bench/load/call.h - unary gRPC calls on an HTTP/2 connection, one after the other
 *
 * Takes and returns bytes, and knows no socket.  What HTTP/2 itself has to send, such as an
 * acknowledgement of SETTINGS, goes with the next call.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct call;

/* A connection.  authority and path are borrowed. */
struct call *call_create(const char *authority, const char *path);
void call_destroy(struct call *c);

/* Begin a call with an empty message; returns the bytes to send, valid until the next call
 * of a function here. */
const char *call_begin(struct call *c, size_t *ret_len);

/* Take the next n bytes.
 *
 * OK         the call is complete: status 200, and grpc-status 0 in the trailers
 * ERR_AGAIN  not complete
 * ERR_PROTO  it has failed, or these bytes are no HTTP/2 */
MUST_CHECK enum err call_feed(struct call *c, const char *bytes, size_t n);
