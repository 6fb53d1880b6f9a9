/* playground/forward/spdy_server.h - the frames of SPDY/3 that only a server sends
 *
 * Each encoder returns the bytes written, if their number varies, and cannot fail.
 */
#pragma once

#include "wire/spdy.h"

#define SPDY_RST_SIZE 16
void spdy_rst_encode(uint32_t id, enum spdy_status status,
                     uint8_t out[static SPDY_RST_SIZE]);

#define SPDY_GOAWAY_SIZE 16
void spdy_goaway_encode(uint32_t last_id, uint32_t status,
                        uint8_t out[static SPDY_GOAWAY_SIZE]);

/* A SYN_REPLY without headers.  first: it has the first header block that is sent on the
 * connection, which begins with the zlib header. */
#define SPDY_SYN_REPLY_MAX 40
size_t spdy_syn_reply_encode(uint32_t id, bool first,
                             uint8_t out[static SPDY_SYN_REPLY_MAX]);
