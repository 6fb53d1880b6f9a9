#include "playground/forward/spdy_server.h"

#include <string.h>

#define FIXED 8 /* size of the body of RST_STREAM and GOAWAY */

static uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    const uint8_t bytes[] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v };
    memcpy(at, bytes, sizeof(bytes));
    return at + sizeof(bytes);
}

/* Version 3, no flags. */
static uint8_t *put_head(uint8_t *at, enum spdy_type type, uint32_t length)
{
    return put_u32(put_u32(at, 0x80030000u | (uint32_t)type), length);
}

void spdy_rst_encode(uint32_t id, enum spdy_status status,
                     uint8_t out[static SPDY_RST_SIZE])
{
    put_u32(put_u32(put_head(out, SPDY_RST_STREAM, FIXED), id), (uint32_t)status);
}

void spdy_goaway_encode(uint32_t last_id, uint32_t status,
                        uint8_t out[static SPDY_GOAWAY_SIZE])
{
    put_u32(put_u32(put_head(out, SPDY_GOAWAY, FIXED), last_id), status);
}

size_t spdy_syn_reply_encode(uint32_t id, bool first,
                             uint8_t out[static SPDY_SYN_REPLY_MAX])
{
    /* The zlib header with SPDY's dictionary; then two stored deflate blocks (RFC 1951,
     * section 3.2.4): the number 0 as four bytes, and an empty one. */
    static const uint8_t block[] = {
        0x78, 0x3f, 0xe3, 0xc6, 0xa7, 0xc2, 0, 4, 0,    0xfb,
        0xff, 0,    0,    0,    0,    0,    0, 0, 0xff, 0xff
    };
    const size_t skip = first ? 0 : 6, n = sizeof(block) - skip;

    uint8_t *at = put_head(out, SPDY_SYN_REPLY, (uint32_t)(4 + n));
    at = put_u32(at, id);
    memcpy(at, block + skip, n);
    return (size_t)(at - out) + n;
}
