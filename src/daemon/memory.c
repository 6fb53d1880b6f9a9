/* daemon/memory.c - return unused memory to the system */
#include "daemon/memory.h"

#include <malloc.h>
#include <pthread.h>

#include "base/own.h"

#define LOOK_MS 10000
#define MANY_CHUNKS 64 /* 1 MiB: so many fewer chunks justify trimming the heap */
/* so few chunks count as no load: a request now and then, as for the metrics */
#define FEW_CHUNKS 8

/* glibc keeps freed pieces of each small size in a cache of the thread that freed
 * them. */
#define CACHE_SIZES 64
#define CACHE_EACH 7
#define CACHE_ALL (CACHE_SIZES * CACHE_EACH)

struct memory {
    struct loop *loop;
    struct timer look;
    size_t peak_before; /* maximum of chunks in use in the previous span */
    /* maximum in two spans when the heap was last trimmed, or a higher one since */
    size_t needed;
    bool trimmed; /* trimmed at no load, and no load since */
    void (*trim)(void *owner);
    void *owner;
};

static void *free_all(void *owner)
{
    void **pieces = owner;
    for (size_t i = 0; i < CACHE_ALL; i++)
        free(pieces[i]);
    return NULL;
}

/* The cached pieces are scattered and keep their pages from malloc_trim.  So all are
 * allocated and then freed by a short thread: when a thread ends, glibc empties its
 * cache. */
static void empty_cache(void)
{
    void *pieces[CACHE_ALL];
    pthread_t thread;

    for (size_t i = 0; i < CACHE_ALL; i++)
        pieces[i] = malloc(24 + 16 * (i / CACHE_EACH));
    if (pthread_create(&thread, NULL, free_all, pieces) == 0)
        pthread_join(thread, NULL);
    else
        free_all(pieces);
}

static void shrink_heap(void)
{
    empty_cache();
    malloc_trim(0);
}

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
        shrink_heap();
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
