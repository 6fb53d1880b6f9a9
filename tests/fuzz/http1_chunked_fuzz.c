/* tests/fuzz/http1_chunked_fuzz.c - chunked bodies: however cut, the same result
 *
 * Whole, byte by byte, and in steps chosen by the first byte: the same payload, the same
 * end, the same refusal; as a request's body and as an answer's.  What is left of an
 * answer's body is one that a request could have.
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
    char *kept; /* what is passed on: all but what is dropped */
    size_t kept_len;
};

static void result_finish(struct result *result)
{
    free(result->payload);
    free(result->kept);
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
    size_t n = piece.framing + piece.payload;
    assert(piece.dropped + n > 0 && piece.dropped + n <= len);
    assert(piece.dropped == 0 || c->answer);
    in += piece.dropped;
    memcpy(result->kept + result->kept_len, in, n);
    result->kept_len += n;
    memcpy(result->payload + result->len, in + piece.framing, piece.payload);
    result->len += piece.payload;
    result->used += piece.dropped + n;
    result->done = piece.done;
    return !piece.done;
}

static struct result in_steps(const uint8_t *in, size_t len, size_t step, bool answer)
{
    struct http1_chunked c = { .answer = answer };
    struct result result = { .payload = xmalloc(len + 1), .kept = xmalloc(len + 1) };

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
    assert(a->kept_len == b->kept_len || a->err);
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
    struct result again = in_steps((const uint8_t *)text, len + 5, len + 5, false);
    assert(again.done && again.used == len + 5 && again.len == result->len);
    assert(memcmp(again.payload, result->payload, again.len) == 0);
}

/* The strictest reader finds the same in what is kept, unless a size has more zeros in
 * front than it takes. */
static void strict_reader_sees_the_same(const struct result *answer)
{
    const uint8_t *kept = (const uint8_t *)answer->kept;
    AUTO(result_finish)
    struct result strict = in_steps(kept, answer->kept_len, answer->kept_len + 1, false);

    if (strict.err == ERR_LIMIT)
        return;
    assert(!strict.err && strict.done == answer->done && strict.len == answer->len);
    assert(memcmp(strict.payload, answer->payload, strict.len) == 0);
    assert(strict.kept_len == answer->kept_len);
}

static struct result read_as(const uint8_t *bytes, size_t len, bool answer)
{
    struct result whole = in_steps(bytes + 1, len - 1, len - 1, answer);
    AUTO(result_finish) struct result single = in_steps(bytes + 1, len - 1, 1, answer);
    AUTO(result_finish)
    struct result steps = in_steps(bytes + 1, len - 1, 1 + (size_t)bytes[0], answer);

    agree(&whole, &single);
    agree(&whole, &steps);
    if (whole.done)
        comes_back(&whole);
    return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    AUTO(result_finish) struct result request = read_as(bytes, len, false);
    AUTO(result_finish) struct result answer = read_as(bytes, len, true);

    if (!answer.err)
        strict_reader_sees_the_same(&answer);
    if (!request.err)
        assert(!answer.err && answer.used == request.used && answer.len == request.len);
    return 0;
}
