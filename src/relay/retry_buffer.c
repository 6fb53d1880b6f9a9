/* relay/retry_buffer.c - the bytes of a request that may have to be sent again */
#include "relay/retry_buffer.h"

#define STEP 4096

void retry_buffer_init(struct retry_buffer *b, struct chunk_pool *pool)
{
    *b = (struct retry_buffer){ 0 };
    bufq_init(&b->held, pool, 0);
}

void retry_buffer_finish(struct retry_buffer *b)
{
    bufq_finish(&b->held);
}

void retry_buffer_start(struct retry_buffer *b, size_t limit)
{
    bufq_clear(&b->held);
    b->held.limit = limit;
    b->complete = true;
    b->replayed = 0;
}

static void drop(struct retry_buffer *b)
{
    b->complete = false;
    bufq_clear(&b->held);
    b->replayed = 0;
}

void retry_buffer_keep(struct retry_buffer *b, const struct bufq *from, size_t n)
{
    uint8_t step[STEP];

    if (!b->complete)
        return;
    if (n > bufq_room(&b->held) || chunk_pool_is_tight(b->held.pool)) {
        drop(b);
        return;
    }
    for (size_t at = 0; at < n;) {
        size_t part = n - at < sizeof(step) ? n - at : sizeof(step);
        bufq_copy(from, at, step, part);
        bufq_write(&b->held, step, part);
        at += part;
    }
    b->replayed = b->held.len;
}

void retry_buffer_rewind(struct retry_buffer *b)
{
    b->replayed = 0;
}

bool retry_buffer_replay(struct retry_buffer *b, struct bufq *out)
{
    uint8_t step[STEP];

    while (b->replayed < b->held.len && !bufq_full(out)) {
        size_t n = bufq_copy(&b->held, b->replayed, step, sizeof(step));
        b->replayed += bufq_write(out, step, n);
    }
    if (b->replayed < b->held.len)
        return false;
    if (!b->complete)
        drop(b);
    return true;
}

void retry_buffer_stop(struct retry_buffer *b)
{
    b->complete = false;
    if (b->replayed == b->held.len)
        drop(b);
}
