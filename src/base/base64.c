/* base/base64.c - base64 (RFC 4648, section 4) */
#include "base/base64.h"

#include "base/own.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

struct decoder {
    char *out;
    size_t len;
    unsigned bits, digits, pads; /* of the current group of four characters */
};

static enum err take(struct decoder *d, char c)
{
    int value = digit(c);

    if (c == '=' && d->digits >= 2 && d->digits + d->pads < 4) {
        d->pads++;
        return OK;
    }
    if (value < 0 || d->pads)
        return ERR_PROTO;
    d->bits = d->bits << 6 | (unsigned)value;
    if (++d->digits < 4)
        return OK;
    for (int shift = 16; shift >= 0; shift -= 8)
        d->out[d->len++] = (char)(d->bits >> shift & 0xff);
    d->bits = d->digits = 0;
    return OK;
}

static enum err finish(struct decoder *d)
{
    if (d->digits == 0 && d->pads == 0)
        return OK;
    if (d->digits + d->pads != 4)
        return ERR_PROTO;
    d->bits <<= 6 * d->pads;
    for (unsigned n = 0; n < 3 - d->pads; n++)
        d->out[d->len++] = (char)(d->bits >> (16 - 8 * n) & 0xff);
    return OK;
}

enum err base64_decode(struct str in, char **ret_text, size_t *ret_len)
{
    AUTO_FREE char *out = xmalloc(in.len / 4 * 3 + 4);
    struct decoder d = { .out = out };

    for (size_t i = 0; i < in.len; i++) {
        if (strchr(" \t\r\n", in.at[i]) && in.at[i])
            continue;
        if (take(&d, in.at[i]))
            return ERR_PROTO;
    }
    if (finish(&d))
        return ERR_PROTO;
    out[d.len] = '\0';
    *ret_len = d.len;
    *ret_text = TAKE(out);
    return OK;
}

char *base64_encode(struct str in)
{
    char *out = xmalloc(in.len / 3 * 4 + 5), *at = out;

    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        unsigned bits = (unsigned)(uint8_t)in.at[i] << 16;
        bits |= left > 1 ? (unsigned)(uint8_t)in.at[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint8_t)in.at[i + 2] : 0;
        *at++ = alphabet[bits >> 18];
        *at++ = alphabet[bits >> 12 & 63];
        *at++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        *at++ = left > 2 ? alphabet[bits & 63] : '=';
    }
    *at = '\0';
    return out;
}
