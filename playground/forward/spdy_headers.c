#include "playground/forward/spdy_headers.h"

#include <zlib.h>

#include "base/own.h"
#include "wire/spdy.h"

struct spdy_inflater {
    z_stream z;
    bool failed;
    uint8_t plain[SPDY_BLOCK_MAX + 1]; /* if it is full, the block was too large */
};

struct spdy_inflater *spdy_inflater_create(void)
{
    struct spdy_inflater *f = xcalloc(1, sizeof(*f));
    if (inflateInit(&f->z) != Z_OK)
        abort();
    return f;
}

void spdy_inflater_destroy(struct spdy_inflater *f)
{
    if (!f)
        return;
    inflateEnd(&f->z);
    free(f);
}

/* Inflates; sets the dictionary when the zlib header of the first block requests it. */
static int inflate_some(z_stream *z)
{
    uint8_t dictionary[SPDY_DICTIONARY_SIZE];

    int code = inflate(z, Z_SYNC_FLUSH);
    if (code != Z_NEED_DICT)
        return code;
    spdy_dictionary(dictionary);
    code = inflateSetDictionary(z, dictionary, sizeof(dictionary));
    return code == Z_OK ? inflate(z, Z_SYNC_FLUSH) : code;
}

/* Inflates the whole block into f->plain.  Z_BUF_ERROR means that the input is used up
 * and there was nothing more to write. */
static enum err inflate_block(struct spdy_inflater *f, struct str block, struct str *ret)
{
    f->z.next_in = (z_const Bytef *)block.at;
    f->z.avail_in = (uInt)block.len;
    f->z.next_out = f->plain;
    f->z.avail_out = sizeof(f->plain);

    int code = inflate_some(&f->z);
    if (code != Z_OK && code != Z_BUF_ERROR)
        return ERR_PROTO;
    if (f->z.avail_out == 0)
        return ERR_LIMIT;
    *ret = (struct str){ (const char *)f->plain, sizeof(f->plain) - f->z.avail_out };
    return f->z.avail_in ? ERR_PROTO : OK;
}

static enum err take_u32(struct str *s, uint32_t *ret)
{
    const uint8_t *at = (const uint8_t *)s->at;
    if (s->len < 4)
        return ERR_PROTO;
    *ret = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    *s = str_skip(*s, 4);
    return OK;
}

static enum err take_text(struct str *s, struct str *ret)
{
    uint32_t len;
    enum err e = take_u32(s, &len);
    if (e || len > s->len)
        return ERR_PROTO;
    *ret = str_first(*s, len);
    *s = str_skip(*s, len);
    return OK;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] >= 0x7f || (s.at[i] >= 'A' && s.at[i] <= 'Z'))
            return false;
    return s.len > 0;
}

static enum err take_header(struct str *s, struct spdy_header *fields, size_t before)
{
    struct spdy_header *h = &fields[before];
    enum err e = take_text(s, &h->name);
    if (!e)
        e = take_text(s, &h->value);
    if (e || !is_name(h->name) || spdy_headers_find(fields, before, h->name).at)
        return ERR_PROTO;
    return OK;
}

static enum err split(struct str plain, struct spdy_header *fields, size_t *ret_count)
{
    uint32_t count;
    enum err e = take_u32(&plain, &count);
    if (!e && count > SPDY_HEADERS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; !e && i < count; i++)
        e = take_header(&plain, fields, i);
    if (e || plain.len)
        return ERR_PROTO;
    *ret_count = count;
    return OK;
}

enum err spdy_headers_decode(struct spdy_inflater *f, struct str block,
                             struct spdy_header fields[static SPDY_HEADERS_MAX],
                             size_t *ret_count)
{
    struct str plain;
    if (f->failed)
        return ERR_PROTO;
    enum err e = inflate_block(f, block, &plain);
    if (!e)
        e = split(plain, fields, ret_count);
    f->failed = e != OK;
    return e;
}

struct str spdy_headers_find(const struct spdy_header *fields, size_t count,
                             struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(fields[i].name, name))
            return fields[i].value;
    return (struct str){ NULL, 0 };
}
