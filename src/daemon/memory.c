/* daemon/memory.c - give memory back to the system when nobody needs it */
#include "daemon/memory.h"

#include <malloc.h>

#include "base/own.h"

#define LOOK_MS 10000
#define MANY_CHUNKS 64 /* fewer, a mebibyte: worth a walk over the heap */
#define FEW_CHUNKS 8   /* a request now and then, as for the metrics, is no load */

struct memory {
    struct loop *loop;
    struct timer look;
    size_t peak_before; /* chunks in use at most, in the span before this one */
    size_t needed; /* ... in two spans, when the heap was given back, or more since */
    bool trimmed;  /* all of it, and there was no load since */
    void (*trim)(void *owner);
    void *owner;
};

static void on_look(struct timer *t)
{
    struct memory *m = container_of(t, struct memory, look);
    struct chunk_pool *pool = loop_pool(m->loop);
    size_t peak = pool->peak;
    size_t needed = peak > m->peak_before ? peak : m->peak_before;
    bool quiet = needed <= FEW_CHUNKS;
    bool fewer = needed + MANY_CHUNKS <= m->needed;

    chunk_pool_trim(pool, needed);
    if (quiet && !m->trimmed && m->trim)
        m->trim(m->owner);
    if (fewer || (quiet && !m->trimmed))
        malloc_trim(0);
    if (fewer || needed > m->needed)
        m->needed = needed;
    m->trimmed = quiet;
    m->peak_before = peak;
    timer_set(&m->look, LOOK_MS);
}

struct memory *memory_create(struct loop *loop)
{
    struct memory *m = xcalloc(1, sizeof(*m));

    m->loop = loop;
    timer_init(&m->look, loop_sched(loop), on_look);
    timer_set(&m->look, LOOK_MS);
    return m;
}

void memory_on_quiet(struct memory *m, void (*trim)(void *owner), void *owner)
{
    m->trim = trim;
    m->owner = owner;
}

void memory_destroy(struct memory *m)
{
    if (!m)
        return;
    timer_stop(&m->look);
    free(m);
}
