/* wire/websocket.h - WebSocket frame headers and masks (RFC 6455, section 5)
 *
 * Bytes to struct and back.  No sockets, no allocation, no state: the caller keeps bytes
 * until a whole header has arrived and moves the payload itself, so a frame of any size
 * costs this module WEBSOCKET_HEADER_MAX bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define WEBSOCKET_HEADER_MAX 14

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0x0,
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xa,
};

struct websocket_header {
    enum websocket_opcode opcode;
    bool fin;
    bool masked;
    uint8_t mask[4];  /* meaningful only when masked */
    uint64_t payload; /* bytes that follow this header */
};

/* Decode the header at the start of in[0..len).
 *
 * OK         *ret is filled in; the first *used bytes were the header
 * ERR_AGAIN  the header is not complete; call again with more bytes
 * ERR_PROTO  nothing that could follow makes this a legal header
 *
 * *ret and *used are written only on OK. */
MUST_CHECK enum err websocket_header_decode(const uint8_t *in, size_t len,
                                            struct websocket_header *ret, size_t *used);

/* Encode; returns how many bytes of out were written.  Cannot fail. */
size_t websocket_header_encode(const struct websocket_header *h,
                               uint8_t out[static WEBSOCKET_HEADER_MAX]);

/* XOR the mask over bytes, whose first is byte `at` of the payload.  Its own inverse. */
void websocket_mask(uint8_t *bytes, size_t len, const uint8_t mask[static 4],
                    uint64_t at);
