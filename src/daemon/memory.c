/* daemon/memory.c - give memory back to the system when nobody needs it */
#include "daemon/memory.h"

#include <malloc.h>

#include "base/own.h"

#define LOOK_MS 30000

struct memory {
    struct loop *loop;
    struct timer look;
    bool quiet; /* at the look before */
    void (*trim)(void *owner);
    void *owner;
};

/* Spare chunks are the sign that something happened since they were freed last. */
static bool is_quiet(const struct chunk_pool *pool)
{
    return pool->live == 0 && pool->spares > 0;
}

static void on_look(struct timer *t)
{
    struct memory *m = container_of(t, struct memory, look);
    struct chunk_pool *pool = loop_pool(m->loop);
    bool was_quiet = m->quiet;

    m->quiet = is_quiet(pool);
    if (was_quiet && m->quiet) {
        if (m->trim)
            m->trim(m->owner);
        chunk_pool_trim(pool);
        malloc_trim(0);
    }
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
