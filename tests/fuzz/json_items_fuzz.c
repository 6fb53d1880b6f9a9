/* tests/fuzz/json_items_fuzz.c - the same input whole and byte by byte gives the same
 * pieces
 *
 * The first byte chooses list or watch and, above, how large an object may be.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/own.h"
#include "wire/json_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct outcome {
    enum err result;
    bool complete;
    size_t count;
    uint64_t hash; /* of all pieces and their kinds */
};

static void drain(struct json_items *c, size_t object_max, struct outcome *o)
{
    enum json_piece kind;
    struct str text;
    while (!json_items_next(c, &kind, &text)) {
        assert(text.len >= 2 && text.len <= object_max);
        assert(text.at[0] == '{');
        o->count++;
        o->hash = (o->hash ^ str_hash(text)) * 31 + (uint64_t)kind;
    }
}

static struct outcome feed(enum json_items_mode mode, size_t object_max, const char *in,
                           size_t len, size_t step)
{
    struct json_items *c = json_items_create(mode, object_max);
    struct outcome o = { 0 };

    for (size_t at = 0; !o.result && at < len; at += step) {
        o.result = json_items_feed(c, in + at, len - at < step ? len - at : step);
        drain(c, object_max, &o);
    }
    o.complete = json_items_complete(c);
    json_items_destroy(c);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    enum json_items_mode mode = bytes[0] & 1 ? JSON_WATCH : JSON_LIST;
    size_t object_max = bytes[0] & 2 ? 16 : 65536;
    const char *in = (const char *)bytes + 1;

    struct outcome whole = feed(mode, object_max, in, len - 1, len);
    struct outcome slow = feed(mode, object_max, in, len - 1, 1);
    assert(whole.result == slow.result && whole.complete == slow.complete);
    assert(whole.count == slow.count && whole.hash == slow.hash);
    return 0;
}
