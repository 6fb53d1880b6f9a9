#include "base/bufq.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/own.h"
#include "base/sched.h"

/* Below this many bytes, copying into the tail beats linking another chunk: small frames
 * gather into one TLS record, and chunks do not pile up nearly empty. */
#define COPY_MAX 2048

/* Packing copies at most this much, to free at least that. */
#define PACK_MAX (2 * CHUNK_SIZE)
#define PACK_GAIN 2048

#if defined(__SANITIZE_ADDRESS__)
#define ON_THE_HEAP 1 /* malloc, so that AddressSanitizer checks the accesses */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ON_THE_HEAP 1
#endif
#endif
#ifndef ON_THE_HEAP
#define ON_THE_HEAP 0
#endif

#define FREE_SMALL_MAX 1024

#define CHUNK_PAGES 16384
_Static_assert(sizeof(struct chunk) + CHUNK_SIZE == CHUNK_PAGES, "nothing is wasted");

void chunk_pool_init(struct chunk_pool *p, size_t keep)
{
    *p = (struct chunk_pool){ .keep = keep, .limit = SIZE_MAX };
}

/* Whole chunks have pages of their own.  On the heap, small objects allocated between
 * them during a burst would keep the heap from shrinking after it. */
static struct chunk *chunk_create(size_t size)
{
    bool whole = size == CHUNK_SIZE && !ON_THE_HEAP;
    struct chunk *c = whole ? xpages(CHUNK_PAGES) : xmalloc(sizeof(*c) + size);
    c->size = size;
    return c;
}

static void chunk_free(struct chunk *c)
{
    if (c->size == CHUNK_SIZE && !ON_THE_HEAP)
        munmap(c, CHUNK_PAGES);
    else
        free(c);
}

static void trim_small(struct chunk_pool *p)
{
    while (p->free_small) {
        struct chunk *c = p->free_small;
        p->free_small = c->next;
        chunk_free(c);
    }
    p->free_small_count = 0;
}

void chunk_pool_trim(struct chunk_pool *p, size_t needed)
{
    trim_small(p);
    while (p->free_list && p->live + p->free_count > needed) {
        struct chunk *c = p->free_list;
        p->free_list = c->next;
        p->free_count--;
        chunk_free(c);
    }
    p->peak = p->live;
}

void chunk_pool_finish(struct chunk_pool *p)
{
    assert(p->live == 0 && p->held == 0);
    chunk_pool_trim(p, 0);
}

void chunk_pool_set_limit(struct chunk_pool *p, size_t limit, struct task *over)
{
    p->limit = limit;
    p->over = over;
}

void chunk_pool_hold(struct chunk_pool *p, size_t n)
{
    p->held += n;
    if (p->held > p->limit)
        task_wake(p->over);
}

static struct chunk *chunk_begin(struct chunk_pool *p, struct chunk *c)
{
    p->live++;
    chunk_pool_hold(p, c->size);
    if (p->peak < p->live)
        p->peak = p->live;
    c->next = NULL;
    c->begin = c->end = c->room + CHUNK_HEADROOM;
    return c;
}

static struct chunk *chunk_get(struct chunk_pool *p)
{
    struct chunk *c = p->free_list;
    if (!c)
        return chunk_begin(p, chunk_create(CHUNK_SIZE));
    p->free_list = c->next;
    p->free_count--;
    return chunk_begin(p, c);
}

static struct chunk *chunk_get_small(struct chunk_pool *p)
{
    struct chunk *c = p->free_small;
    if (!c)
        return chunk_begin(p, chunk_create(CHUNK_SMALL_SIZE));
    p->free_small = c->next;
    p->free_small_count--;
    return chunk_begin(p, c);
}

static void chunk_put_small(struct chunk_pool *p, struct chunk *c)
{
    if (p->free_small_count >= FREE_SMALL_MAX) {
        chunk_free(c);
        return;
    }
    c->next = p->free_small;
    p->free_small = c;
    p->free_small_count++;
}

static void chunk_put(struct chunk_pool *p, struct chunk *c)
{
    p->live--;
    chunk_pool_release(p, c->size);
    if (c->size == CHUNK_SMALL_SIZE) {
        chunk_put_small(p, c);
        return;
    }
    if (p->free_count >= p->keep || c->size != CHUNK_SIZE) {
        chunk_free(c);
        return;
    }
    c->next = p->free_list;
    p->free_list = c;
    p->free_count++;
}

static size_t chunk_len(const struct chunk *c)
{
    return (size_t)(c->end - c->begin);
}

static size_t chunk_room(const struct chunk *c)
{
    return (size_t)(c->room + c->size - c->end);
}

void bufq_init(struct bufq *q, struct chunk_pool *pool, size_t limit)
{
    *q = (struct bufq){ .limit = limit, .pool = pool };
}

static void drop_head(struct bufq *q)
{
    struct chunk *c = q->head;
    q->head = c->next;
    if (!q->head)
        q->tail = NULL;
    chunk_put(q->pool, c);
}

void bufq_clear(struct bufq *q)
{
    while (q->head)
        drop_head(q);
    q->len = 0;
}

void bufq_finish(struct bufq *q)
{
    bufq_clear(q);
}

static void append_chunk(struct bufq *q, struct chunk *c)
{
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

/* The last chunk, with at least one free byte. */
static struct chunk *open_tail(struct bufq *q)
{
    if (!q->tail || chunk_room(q->tail) == 0)
        append_chunk(q, chunk_get(q->pool));
    return q->tail;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t bufq_write(struct bufq *q, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    size_t todo = min(n, bufq_room(q));
    size_t taken = todo;

    while (todo) {
        struct chunk *c = open_tail(q);
        size_t part = min(todo, chunk_room(c));
        memcpy(c->end, at, part);
        c->end += part;
        at += part;
        todo -= part;
    }
    q->len += taken;
    return taken;
}

size_t bufq_write_small(struct bufq *q, const void *bytes, size_t n)
{
    if (!q->tail && n && n <= CHUNK_SMALL_ROOM && n <= q->limit)
        append_chunk(q, chunk_get_small(q->pool));
    return bufq_write(q, bytes, n);
}

bool bufq_put(struct bufq *q, const void *bytes, size_t n)
{
    if (bufq_room(q) < n)
        return false;
    bufq_write(q, bytes, n);
    return true;
}

void *bufq_prepend(struct bufq *q, size_t n)
{
    assert(n <= CHUNK_HEADROOM);
    struct chunk *c = q->head;
    if (!c || (size_t)(c->begin - c->room) < n) {
        c = chunk_get(q->pool);
        c->next = q->head;
        q->head = c;
        if (!q->tail)
            q->tail = c;
    }
    c->begin -= n;
    q->len += n;
    return c->begin;
}

uint8_t *bufq_reserve(struct bufq *q, size_t *ret_room)
{
    size_t room = bufq_room(q);
    if (!room)
        return NULL;
    struct chunk *c = open_tail(q);
    *ret_room = min(room, chunk_room(c));
    return c->end;
}

size_t bufq_reserve_iov(struct bufq *q, struct iovec *iov, size_t max, size_t *ret_room)
{
    size_t room = bufq_room(q), left = room, n = 0;

    while (left && n < max) {
        if (n)
            append_chunk(q, chunk_get(q->pool));
        struct chunk *c = open_tail(q);
        iov[n] = (struct iovec){ c->end, min(left, chunk_room(c)) };
        left -= iov[n++].iov_len;
    }
    *ret_room = room - left;
    return n;
}

/* The first of the chunks at the end that the last call reserved. */
static struct chunk *first_reserved(struct bufq *q)
{
    struct chunk *c = q->head;
    while (c->next && (chunk_len(c->next) || !chunk_room(c)))
        c = c->next;
    return c;
}

void bufq_commit(struct bufq *q, size_t n)
{
    q->len += n;
    for (struct chunk *c = n ? first_reserved(q) : NULL; n; c = c->next) {
        assert(c);
        size_t part = min(n, chunk_room(c));
        c->end += part;
        n -= part;
    }
}

void bufq_settle(struct bufq *q)
{
    struct chunk *last = NULL;

    for (struct chunk *c = q->head; c; c = c->next)
        last = chunk_len(c) ? c : last;
    if (!last) {
        bufq_clear(q);
        return;
    }
    while (last->next) {
        struct chunk *unused = last->next;
        last->next = unused->next;
        chunk_put(q->pool, unused);
    }
    q->tail = last;
}

void bufq_pack(struct bufq *q)
{
    size_t held = 0, needed = CHUNK_HEADROOM + q->len;

    for (const struct chunk *c = q->head; c; c = c->next)
        held += c->size;
    if (q->len > PACK_MAX || held < needed + PACK_GAIN)
        return;
    struct chunk *c = chunk_begin(q->pool, chunk_create(needed));
    c->end += bufq_copy(q, 0, c->end, q->len);
    while (q->head)
        drop_head(q);
    append_chunk(q, c);
}

const uint8_t *bufq_peek(const struct bufq *q, size_t *ret_len)
{
    const struct chunk *c = q->head;
    while (c && chunk_len(c) == 0)
        c = c->next;
    *ret_len = c ? chunk_len(c) : 0;
    return c ? c->begin : NULL;
}

size_t bufq_copy(const struct bufq *q, size_t offset, void *to, size_t n)
{
    uint8_t *out = to;
    size_t copied = 0;

    for (const struct chunk *c = q->head; c && copied < n; c = c->next) {
        size_t len = chunk_len(c);
        if (offset >= len) {
            offset -= len;
            continue;
        }
        size_t part = min(len - offset, n - copied);
        memcpy(out + copied, c->begin + offset, part);
        copied += part;
        offset = 0;
    }
    return copied;
}

void bufq_skip(struct bufq *q, size_t n)
{
    assert(n <= q->len);
    q->len -= n;
    while (n) {
        size_t part = min(n, chunk_len(q->head));
        q->head->begin += part;
        n -= part;
        if (chunk_len(q->head) == 0)
            drop_head(q);
    }
    if (q->len == 0)
        bufq_clear(q);
}

size_t bufq_read(struct bufq *q, void *to, size_t n)
{
    size_t copied = bufq_copy(q, 0, to, n);
    bufq_skip(q, copied);
    return copied;
}

size_t bufq_iov(const struct bufq *q, struct iovec *iov, size_t max)
{
    size_t n = 0;
    for (struct chunk *c = q->head; c && n < max; c = c->next)
        if (chunk_len(c))
            iov[n++] = (struct iovec){ c->begin, chunk_len(c) };
    return n;
}

/* Should the whole chunk c be re-linked, instead of copied? */
static bool worth_linking(const struct bufq *to, const struct chunk *c, size_t todo)
{
    size_t len = chunk_len(c);
    bool copies_well = len <= COPY_MAX && to->tail &&
                       (chunk_room(to->tail) >= len || c->size == CHUNK_SMALL_SIZE);
    return len <= todo && !copies_well;
}

static void link_head(struct bufq *to, struct bufq *from)
{
    struct chunk *c = from->head;
    from->head = c->next;
    if (!from->head)
        from->tail = NULL;
    c->next = NULL;
    append_chunk(to, c);
}

static size_t copy_head(struct bufq *to, struct bufq *from, size_t todo)
{
    struct chunk *c = from->head;
    struct chunk *tail = open_tail(to);
    size_t part = min(min(todo, chunk_len(c)), chunk_room(tail));
    memcpy(tail->end, c->begin, part);
    tail->end += part;
    c->begin += part;
    if (chunk_len(c) == 0)
        drop_head(from);
    return part;
}

size_t bufq_move_n(struct bufq *to, struct bufq *from, size_t max)
{
    assert(to->pool == from->pool);
    size_t todo = min(min(max, from->len), bufq_room(to));
    size_t moved = todo;

    while (todo) {
        size_t part = chunk_len(from->head);
        if (part && worth_linking(to, from->head, todo))
            link_head(to, from);
        else
            part = copy_head(to, from, todo);
        todo -= part;
    }
    to->len += moved;
    from->len -= moved;
    if (from->len == 0)
        bufq_clear(from);
    return moved;
}

size_t bufq_move(struct bufq *to, struct bufq *from)
{
    return bufq_move_n(to, from, SIZE_MAX);
}
