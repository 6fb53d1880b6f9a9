/* tests/fuzz/spdy_headers_fuzz.c - header blocks of one connection, deflated or plain
 *
 * The input is a sequence of blocks, each behind its length in two bytes.  A length with
 * its top bit set marks plain text that is stored here, so that mutations reach the
 * parser of fields without having to be valid deflate.
 */
#include <assert.h>
#include <stdint.h>

#include "base/own.h"
#include "playground/forward/spdy_headers.h"

#define PLAIN_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(struct spdy_inflater *f, struct str block)
{
    static volatile uint8_t sink;
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;

    if (spdy_headers_decode(f, block, fields, &count))
        return;
    assert(count <= SPDY_HEADERS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(fields[i].name.len > 0);
        sink = (uint8_t)fields[i].name.at[fields[i].name.len - 1];
        if (fields[i].value.len)
            sink = (uint8_t)fields[i].value.at[fields[i].value.len - 1];
    }
    (void)sink;
}

static struct str store(struct str plain, bool first, uint8_t out[static PLAIN_MAX + 16])
{
    static const uint8_t zlib_head[] = { 0x78, 0x3f, 0xe3, 0xc6, 0xa7, 0xc2 };
    size_t n = first ? sizeof(zlib_head) : 0;

    memcpy(out, zlib_head, n);
    out[n++] = 0;
    out[n++] = (uint8_t)plain.len;
    out[n++] = (uint8_t)(plain.len >> 8);
    out[n++] = (uint8_t)~plain.len;
    out[n++] = (uint8_t)(~plain.len >> 8);
    if (plain.len)
        memcpy(out + n, plain.at, plain.len);
    return (struct str){ (const char *)out, n + plain.len };
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct spdy_inflater *f = spdy_inflater_create();
    bool first = true;

    while (len >= 2) {
        uint8_t stored[PLAIN_MAX + 16];
        size_t n = ((size_t)bytes[0] << 8 | bytes[1]) & (PLAIN_MAX - 1);
        bool plain = bytes[0] & 0x80;
        bytes += 2;
        len -= 2;
        n = n < len ? n : len;
        struct str block = { (const char *)bytes, n };
        check(f, plain ? store(block, first, stored) : block);
        first = false;
        bytes += n;
        len -= n;
    }
    spdy_inflater_destroy(f);
    return 0;
}
