/* http/h2_memory.c - the memory of nghttp2's sessions: limited, counted, and kept for reuse
 *
 * nghttp2 allocates about 17 blocks for a request and its response, most of them below 1 KiB.
 * Blocks of one size class go to a free list of the settings, which all connections share.
 */
#include "base/own.h"
#include "http/h2_private.h"

#define CLASS_SIZE 64
#define KEPT_MAX (512u << 10) /* bytes in all free lists */

#if defined(__SANITIZE_ADDRESS__)
#define REUSE 0 /* so that AddressSanitizer checks the accesses */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REUSE 0
#endif
#endif
#ifndef REUSE
#define REUSE 1
#endif

/* In front of each block. */
struct h2_block {
    union {
        size_t size;           /* of what follows */
        struct h2_block *next; /* in a free list */
        max_align_t align;
    };
};

static size_t class_of(size_t size)
{
    return (size + CLASS_SIZE - 1) / CLASS_SIZE;
}

static struct h2_block *block_get(struct h2_settings *s, size_t size)
{
    size_t class = class_of(size);

    if (class >= H2_BLOCK_CLASSES)
        return xmalloc(sizeof(struct h2_block) + size);
    struct h2_block *b = s->blocks[class];
    if (!b)
        return xmalloc(sizeof(*b) + class * CLASS_SIZE);
    s->blocks[class] = b->next;
    s->blocks_kept -= class * CLASS_SIZE;
    return b;
}

static bool may_keep(const struct h2_settings *s, size_t class)
{
    return REUSE && class < H2_BLOCK_CLASSES &&
           s->blocks_kept + class * CLASS_SIZE <= KEPT_MAX;
}

static void block_put(struct h2_settings *s, struct h2_block *b)
{
    size_t class = class_of(b->size);

    if (!may_keep(s, class)) {
        free(b);
        return;
    }
    b->next = s->blocks[class];
    s->blocks[class] = b;
    s->blocks_kept += class * CLASS_SIZE;
}

void h2_memory_trim(struct h2_settings *s)
{
    for (size_t class = 0; class < H2_BLOCK_CLASSES; class ++) {
        while (s->blocks[class]) {
            struct h2_block *b = s->blocks[class];
            s->blocks[class] = b->next;
            free(b);
        }
    }
    s->blocks_kept = 0;
}

static void *memory_get(size_t size, void *owner)
{
    struct h2_connection *c = owner;

    if (size > H2_MEMORY_MAX || c->memory + size > H2_MEMORY_MAX)
        return NULL;
    struct h2_block *b = block_get(c->settings, size);
    b->size = size;
    c->memory += size;
    chunk_pool_hold(c->settings->pool, size);
    return b + 1;
}

static void memory_put(void *at, void *owner)
{
    struct h2_connection *c = owner;

    if (!at)
        return;
    struct h2_block *b = (struct h2_block *)at - 1;
    c->memory -= b->size;
    chunk_pool_release(c->settings->pool, b->size);
    block_put(c->settings, b);
}

static void *memory_get_zeroed(size_t count, size_t size, void *owner)
{
    if (size && count > H2_MEMORY_MAX / size)
        return NULL;
    void *at = memory_get(count * size, owner);
    if (at)
        memset(at, 0, count * size);
    return at;
}

static void *memory_resize(void *at, size_t size, void *owner)
{
    if (!at)
        return memory_get(size, owner);
    const struct h2_block *b = (const struct h2_block *)at - 1;
    void *to = memory_get(size, owner);
    if (!to)
        return NULL;
    memcpy(to, at, b->size < size ? b->size : size);
    memory_put(at, owner);
    return to;
}

nghttp2_mem h2_memory(struct h2_connection *c)
{
    return (nghttp2_mem){ .mem_user_data = c,
                          .malloc = memory_get,
                          .free = memory_put,
                          .calloc = memory_get_zeroed,
                          .realloc = memory_resize };
}
