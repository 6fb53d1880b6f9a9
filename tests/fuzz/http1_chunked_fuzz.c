/* tests/fuzz/http1_chunked_fuzz.c - chunked bodies: however cut, the same result
 *
 * Whole, byte by byte, and in steps chosen by the first byte: the same payload, the same
 * end, the same refusal.
 */
#include <assert.h>

#include "base/own.h"
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct result {
    enum err err;
    const char *problem;
    size_t used;
    size_t len;
    bool done;
    char *payload;
};

static void result_finish(struct result *result)
{
    free(result->payload);
}

/* One call; false when there is no point in another. */
static bool decode(struct http1_chunked *c, const uint8_t *in, size_t len,
                   struct result *result)
{
    struct http1_piece piece;

    result->err = http1_chunked_decode(c, in, len, &piece);
    result->problem = c->problem;
    if (result->err)
        return false;
    assert(piece.framing + piece.payload > 0 && piece.framing + piece.payload <= len);
    memcpy(result->payload + result->len, in + piece.framing, piece.payload);
    result->len += piece.payload;
    result->used += piece.framing + piece.payload;
    result->done = piece.done;
    return !piece.done;
}

static struct result in_steps(const uint8_t *in, size_t len, size_t step)
{
    struct http1_chunked c = { 0 };
    struct result result = { .payload = xmalloc(len + 1) };

    for (size_t at = 0; at < len; at += step) {
        size_t end = step < len - at ? at + step : len;
        while (result.used < end)
            if (!decode(&c, in + result.used, end - result.used, &result))
                return result;
    }
    return result;
}

static void agree(const struct result *a, const struct result *b)
{
    assert(a->err == b->err && a->done == b->done && a->len == b->len);
    assert(memcmp(a->payload, b->payload, a->len) == 0);
    assert(a->err ? str_eq(str_of(a->problem), str_of(b->problem)) : a->used == b->used);
}

/* What was accepted, coded anew, is the same payload. */
static void comes_back(const struct result *result)
{
    AUTO_FREE char *text = xmalloc(result->len + HTTP1_CHUNK_HEAD_MAX + 8);
    size_t len = 0;

    if (result->len > 0) {
        len = http1_chunk_head_encode(result->len, text);
        memcpy(text + len, result->payload, result->len);
        memcpy(text + len + result->len, "\r\n", 2);
        len += result->len + 2;
    }
    memcpy(text + len, "0\r\n\r\n", 5);

    AUTO(result_finish)
    struct result again = in_steps((const uint8_t *)text, len + 5, len + 5);
    assert(again.done && again.used == len + 5 && again.len == result->len);
    assert(memcmp(again.payload, result->payload, again.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    AUTO(result_finish) struct result whole = in_steps(bytes + 1, len - 1, len - 1);
    AUTO(result_finish) struct result single = in_steps(bytes + 1, len - 1, 1);
    AUTO(result_finish)
    struct result steps = in_steps(bytes + 1, len - 1, 1 + (size_t)bytes[0]);

    agree(&whole, &single);
    agree(&whole, &steps);
    if (whole.done)
        comes_back(&whole);
    return 0;
}
