/* wire/spdy.c - see spdy.h
 *
 * The header blocks of one direction are one zlib stream, and each ends on a byte
 * boundary (a sync flush).  The encoder writes that format without zlib: once the zlib
 * header with the id of the dictionary, then for each header block a stored
 * (uncompressed) deflate block, which is five bytes and the plain text, and an empty
 * stored block.  This costs 50 bytes per connection and saves the deflater.
 */
#include "wire/spdy.h"

#include <stdio.h>

#include "base/own.h"

#define CONTROL_VERSION 0x8003u

/* SPDY/3, section 2.6.10.1: words, each after its length, then phrases without a
 * length. */
/* clang-format off */
static const char *const words[] = {
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset",
    "accept-encoding", "accept-language", "accept-ranges", "age", "allow",
    "authorization", "cache-control", "connection", "content-base", "content-encoding",
    "content-language", "content-length", "content-location", "content-md5",
    "content-range", "content-type", "date", "etag", "expect", "expires", "from",
    "host", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "last-modified", "location", "max-forwards", "pragma",
    "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
    "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary",
    "via", "warning", "www-authenticate", "method", "get", "status", "200 OK",
    "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin",
};

static const char phrases[] =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416"
    "417502504505203 Non-Authoritative Information204 No Content301 Moved "
    "Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar "
    "Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,"
    "deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
/* clang-format on */

static uint8_t *put_u16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
    return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    return put_u16(put_u16(at, v >> 16), v);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

/* A length of 32 bits, then the bytes: the format of names, values and words of the
 * dictionary. */
static uint8_t *put_text(uint8_t *at, const char *s)
{
    size_t n = strlen(s);
    return put_bytes(put_u32(at, (uint32_t)n), s, n);
}

static uint32_t get_u24(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | get_u24(at + 1);
}

static enum err data_head(const uint8_t *in, struct spdy_head *ret)
{
    uint32_t id = get_u32(in);
    if (id == 0)
        return ERR_PROTO;
    *ret = (struct spdy_head){ SPDY_DATA, in[4], get_u24(in + 5), id };
    return OK;
}

enum err spdy_head_decode(const uint8_t *in, size_t len, struct spdy_head *ret)
{
    if (len < SPDY_HEAD)
        return ERR_AGAIN;
    if (!(in[0] & 0x80))
        return data_head(in, ret);

    uint32_t type = get_u32(in) & 0xffff;
    uint32_t length = get_u24(in + 5);
    bool known = type >= SPDY_SYN_STREAM && type <= SPDY_WINDOW_UPDATE && type != 5;
    if (get_u32(in) >> 16 != CONTROL_VERSION || !known)
        return ERR_PROTO;
    if (length > SPDY_CONTROL_MAX)
        return ERR_LIMIT;
    *ret = (struct spdy_head){ (enum spdy_type)type, in[4], length, 0 };
    return OK;
}

/* The format of each frame type: the length of its body without the header block, whether
 * one follows, whether it has a status, whether its id may be 0 and its flags may be
 * set. */
static const struct shape {
    uint8_t fixed;
    bool block, status, id_zero, flags;
} shapes[] = {
    /* clang-format off */
    [SPDY_SYN_STREAM]    = { 10, .block = true, .flags = true },
    [SPDY_SYN_REPLY]     = {  4, .block = true, .flags = true },
    [SPDY_RST_STREAM]    = {  8, .status = true, .flags = true },
    [SPDY_PING]          = {  4 },
    [SPDY_GOAWAY]        = {  8, .status = true, .id_zero = true },
    [SPDY_HEADERS]       = {  4, .block = true, .flags = true },
    [SPDY_WINDOW_UPDATE] = {  8, .id_zero = true }, /* 0: the session, in SPDY/3.1 */
    /* clang-format on */
};

/* Checks only that the frame is complete; the settings are ignored. */
static enum err settings_decode(const struct spdy_head *head, const uint8_t *body,
                                struct spdy_control *ret)
{
    if (head->length < 4 || get_u32(body) != (head->length - 4) / 8 ||
        (head->length - 4) % 8)
        return ERR_PROTO;
    *ret = (struct spdy_control){ 0 };
    return OK;
}

enum err spdy_control_decode(const struct spdy_head *head, const uint8_t *body,
                             struct spdy_control *ret)
{
    if (head->type == SPDY_SETTINGS)
        return settings_decode(head, body, ret);

    const struct shape *shape = &shapes[head->type];
    if (head->length < shape->fixed || (head->length > shape->fixed && !shape->block) ||
        (head->flags && !shape->flags))
        return ERR_PROTO;

    uint32_t id = get_u32(body);
    if (head->type != SPDY_PING)
        id &= SPDY_ID_MAX;
    uint32_t status = shape->status ? get_u32(body + 4) : 0;
    if ((id == 0 && !shape->id_zero) || (head->type == SPDY_RST_STREAM && status == 0))
        return ERR_PROTO;

    *ret = (struct spdy_control){ .id = id, .status = status };
    if (shape->block)
        ret->block = (struct str){ (const char *)body + shape->fixed,
                                   head->length - shape->fixed };
    return OK;
}

void spdy_data_head_encode(uint32_t id, uint8_t flags, uint32_t length,
                           uint8_t out[static SPDY_HEAD])
{
    put_u32(put_u32(out, id), (uint32_t)flags << 24 | length);
}

static uint8_t *put_control_head(uint8_t *at, enum spdy_type type, uint8_t flags,
                                 uint32_t length)
{
    at = put_u32(at, CONTROL_VERSION << 16 | (uint32_t)type);
    return put_u32(at, (uint32_t)flags << 24 | length);
}

void spdy_ping_encode(uint32_t id, uint8_t out[static SPDY_PING_SIZE])
{
    put_u32(put_control_head(out, SPDY_PING, 0, 4), id);
}

/* A deflate stored block (RFC 1951, section 3.2.4): not the last one, lengths in LSB
 * order. */
static uint8_t *put_stored(uint8_t *at, const uint8_t *plain, size_t n)
{
    const uint8_t head[] = { 0, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n,
                             (uint8_t)(~n >> 8) };
    return put_bytes(put_bytes(at, head, sizeof(head)), plain, n);
}

static uint8_t *put_block(uint8_t *at, bool first, const uint8_t *plain, size_t n)
{
    static const uint8_t zlib_head[] = { 0x78, 0x3f, 0xe3, 0xc6, 0xa7, 0xc2 };
    if (first)
        at = put_bytes(at, zlib_head, sizeof(zlib_head));
    return put_stored(put_stored(at, plain, n), plain, 0);
}

/* The header fields in plain: at most 79 bytes. */
static size_t pair_headers(const struct spdy_pair *pair, const char *streamtype,
                           uint8_t out[static 96])
{
    char port[8], request[12];
    snprintf(port, sizeof(port), "%u", (unsigned)pair->port);
    snprintf(request, sizeof(request), "%u", (unsigned)pair->request_id);

    uint8_t *at = put_u32(out, 3);
    at = put_text(put_text(at, "port"), port);
    at = put_text(put_text(at, "requestid"), request);
    at = put_text(put_text(at, "streamtype"), streamtype);
    return (size_t)(at - out);
}

static uint8_t *put_syn_stream(uint8_t *at, uint32_t id, uint8_t flags,
                               const uint8_t *block, size_t n)
{
    at = put_control_head(at, SPDY_SYN_STREAM, flags, (uint32_t)(10 + n));
    at = put_u32(put_u32(at, id), 0); /* associated with no other stream */
    at = put_u16(at, 0);              /* priority, slot */
    return put_bytes(at, block, n);
}

size_t spdy_pair_encode(const struct spdy_pair *pair, bool first,
                        uint8_t out[static SPDY_PAIR_MAX])
{
    uint8_t plain[96], block[112];

    size_t n = pair_headers(pair, "error", plain);
    const uint8_t *end = put_block(block, first, plain, n);
    uint8_t *at =
        put_syn_stream(out, pair->error_id, SPDY_FIN, block, (size_t)(end - block));

    n = pair_headers(pair, "data", plain);
    end = put_block(block, false, plain, n);
    at = put_syn_stream(at, pair->data_id, 0, block, (size_t)(end - block));
    return (size_t)(at - out);
}

void spdy_dictionary(uint8_t out[static SPDY_DICTIONARY_SIZE])
{
    uint8_t *at = out;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        at = put_text(at, words[i]);
    memcpy(at, phrases, sizeof(phrases) - 1);
}
