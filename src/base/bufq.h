/* base/bufq.h - bounded queues of bytes, in chunks with headroom
 *
 * All buffered bytes are held in bufqs, and no bufq holds more than its limit: writing to
 * a full one takes 0 bytes, which is no error.  (Back-pressure usually sets in before a
 * queue is full: see net/stream.h.)  A chunk leaves HEADROOM bytes free before its first
 * byte, so that a frame head is written in front of a payload that is already there; head
 * and payload together fit one TLS record (16 KiB).  Chunks come from a pool and go back
 * to it when empty: an empty queue uses no memory but its struct, and a queue that will
 * not be read for some time can be packed (bufq_pack).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/str.h"

/* Payload room, headroom included: four pages with the struct before it. */
#define CHUNK_SIZE 16352
#define CHUNK_HEADROOM 32
/* How many bytes one chunk holds besides its headroom.  Queue limits are multiples of it:
 * otherwise a full queue would end in a chunk of a few bytes, which become a frame and a
 * TLS record of their own each time. */
#define CHUNK_ROOM (CHUNK_SIZE - CHUNK_HEADROOM)

/* The same of a small chunk, which with its struct is 1 KiB. */
#define CHUNK_SMALL_SIZE 992
#define CHUNK_SMALL_ROOM (CHUNK_SMALL_SIZE - CHUNK_HEADROOM)

struct chunk {
    struct chunk *next;
    uint8_t *begin, *end; /* the bytes held, inside room */
    size_t size; /* of `room`: CHUNK_SIZE, CHUNK_SMALL_SIZE, or that of bufq_pack */
    uint8_t room[];
};

struct task;

/* The chunks of one loop, with a free list of at most `keep`, and another of small ones.
 * The pool also counts the memory of all buffered bytes, so that one limit bounds it; the
 * pool itself enforces nothing. */
struct chunk_pool {
    struct chunk *free_list, *free_small;
    size_t free_count, free_small_count, keep;
    size_t live; /* handed out at present: for metrics and leak checks */
    size_t peak; /* maximum of `live` since chunk_pool_trim */
    size_t
        held; /* bytes of memory, of chunks handed out and of what chunk_pool_hold counts */
    size_t limit;      /* of `held`; SIZE_MAX: none */
    struct task *over; /* woken while `held` exceeds `limit`; NULL: no task */
};

void chunk_pool_init(struct chunk_pool *p, size_t keep);
void chunk_pool_finish(struct chunk_pool *p); /* asserts that every chunk came back */
/* Keep no more free chunks than bring the chunks back up to `needed`, and no small ones. */
void chunk_pool_trim(struct chunk_pool *p, size_t needed);
/* *over is borrowed until the next call; NULL accepted. */
void chunk_pool_set_limit(struct chunk_pool *p, size_t limit, struct task *over);
/* Count bytes that wait in memory outside of chunks, and stop counting them. */
void chunk_pool_hold(struct chunk_pool *p, size_t n);
static inline void chunk_pool_release(struct chunk_pool *p, size_t n)
{
    p->held -= n;
}

/* More than three quarters of the limit are used: readers that can wait read no more for
 * now. */
static inline bool chunk_pool_is_tight(const struct chunk_pool *p)
{
    return p->held > p->limit - p->limit / 4;
}

struct bufq {
    struct chunk *head, *tail;
    size_t len, limit;
    struct chunk_pool *pool; /* borrowed, outlives the queue */
};

void bufq_init(struct bufq *q, struct chunk_pool *pool, size_t limit);
void bufq_finish(struct bufq *q); /* drops what is left */
void bufq_clear(struct bufq *q);

static inline bool bufq_empty(const struct bufq *q)
{
    return q->len == 0;
}

static inline size_t bufq_room(const struct bufq *q)
{
    return q->len < q->limit ? q->limit - q->len : 0;
}

static inline bool bufq_full(const struct bufq *q)
{
    return q->len >= q->limit;
}

/* Append a copy of up to n bytes; returns how many fitted below the limit. */
size_t bufq_write(struct bufq *q, const void *bytes, size_t n);
/* The same for a queue that seldom holds much, of which there are many: bytes that fit a
 * small chunk begin the queue with one. */
size_t bufq_write_small(struct bufq *q, const void *bytes, size_t n);
/* Append all of n bytes, or none: false when they do not fit. */
MUST_CHECK bool bufq_put(struct bufq *q, const void *bytes, size_t n);
/* Put n <= CHUNK_HEADROOM bytes in front of the first byte; returns where to write them.
 * They count towards len; the limit is not checked, because frame heads are small. */
void *bufq_prepend(struct bufq *q, size_t n);

/* Free room at the end to read into: at least 1 byte unless the queue is full (then
 * NULL). bufq_commit takes the number used; bufq_settle gives unused chunks back. */
uint8_t *bufq_reserve(struct bufq *q, size_t *ret_room);
/* The same in up to `max` pieces; returns how many, 0 when full. */
size_t bufq_reserve_iov(struct bufq *q, struct iovec *iov, size_t max, size_t *ret_room);
void bufq_commit(struct bufq *q, size_t n);
void bufq_settle(struct bufq *q);

/* For bytes that will not be read for some time: copies them to one piece of memory of
 * just their size.  Does nothing if that would free little memory, or copy many bytes. */
void bufq_pack(struct bufq *q);

/* The first bytes, as many as are contiguous; NULL and 0 when empty. */
const uint8_t *bufq_peek(const struct bufq *q, size_t *ret_len);
/* Copy up to n bytes from `offset` on, without taking them; returns how many there were.
 */
size_t bufq_copy(const struct bufq *q, size_t offset, void *to, size_t n);
size_t bufq_read(struct bufq *q, void *to, size_t n); /* copy and take */
void bufq_skip(struct bufq *q, size_t n);             /* n <= len */
size_t bufq_iov(const struct bufq *q, struct iovec *iov, size_t max);

/* Move up to max bytes without passing to's limit; whole chunks are re-linked, small ones
 * and parts copied.  Returns how many moved.  Same pool on both sides. */
size_t bufq_move_n(struct bufq *to, struct bufq *from, size_t max);
size_t bufq_move(struct bufq *to, struct bufq *from);
