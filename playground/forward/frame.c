#include "playground/forward/frame.h"

#include "base/own.h"

struct frame *frame_create(const struct spdy_head *head, struct chunk_pool *pool)
{
    struct frame *f = xcalloc(1, sizeof(*f));
    f->head = *head;
    bufq_init(&f->payload, pool, SIZE_MAX);
    return f;
}

void frame_destroy(struct frame *f)
{
    if (!f)
        return;
    bufq_finish(&f->payload);
    free(f);
}
