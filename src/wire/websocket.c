#include "wire/websocket.h"

static bool is_control(unsigned opcode)
{
    return opcode & 0x8;
}

static bool is_known(unsigned opcode)
{
    return opcode <= WEBSOCKET_BINARY ||
           (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

static uint64_t big_endian(const uint8_t *in, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | in[i];
    return value;
}

/* Are the first two bytes of a header legal? */
static bool is_legal(const uint8_t in[static 2])
{
    unsigned opcode = in[0] & 0x0f, length = in[1] & 0x7f;
    bool fin = in[0] & 0x80;

    if ((in[0] & 0x70) || !is_known(opcode))
        return false;
    return !is_control(opcode) || (fin && length <= 125);
}

enum err websocket_header_decode(const uint8_t *in, size_t len,
                                 struct websocket_header *ret, size_t *used)
{
    if (len < 2)
        return ERR_AGAIN;
    if (!is_legal(in))
        return ERR_PROTO;

    unsigned length = in[1] & 0x7f;
    bool masked = in[1] & 0x80;
    size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    size_t size = 2 + extended + (masked ? 4 : 0);
    if (extended == 8 && len > 2 && (in[2] & 0x80))
        return ERR_PROTO; /* the top bit of a 64-bit length must be 0 */
    if (len < size)
        return ERR_AGAIN;

    *ret = (struct websocket_header){
        .opcode = (enum websocket_opcode)(in[0] & 0x0f),
        .fin = in[0] & 0x80,
        .masked = masked,
        .payload = extended ? big_endian(in + 2, extended) : length,
    };
    if (masked)
        memcpy(ret->mask, in + 2 + extended, 4);
    *used = size;
    return OK;
}

static size_t put_length(uint64_t n, uint8_t *out)
{
    size_t extended = n < 126 ? 0 : n <= 0xffff ? 2 : 8;

    out[0] = (uint8_t)(extended == 0 ? n : extended == 2 ? 126 : 127);
    for (size_t i = 0; i < extended; i++)
        out[1 + i] = (uint8_t)(n >> (8 * (extended - 1 - i)));
    return 1 + extended;
}

size_t websocket_header_encode(const struct websocket_header *h,
                               uint8_t out[static WEBSOCKET_HEADER_MAX])
{
    out[0] = (uint8_t)((h->fin ? 0x80 : 0) | (unsigned)h->opcode);
    size_t n = 1 + put_length(h->payload, out + 1);
    if (!h->masked)
        return n;
    out[1] |= 0x80;
    memcpy(out + n, h->mask, 4);
    return n + 4;
}

void websocket_mask(uint8_t *bytes, size_t len, const uint8_t mask[static 4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t wide, word;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&wide, turned, sizeof(wide));
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        word ^= wide;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        bytes[i] ^= mask[(at + i) & 3];
}
