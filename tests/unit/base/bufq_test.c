/* tests/unit/base/bufq_test.c - byte queues, compared with a plain array */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bufq.h"
#include "base/own.h"
#include "base/sched.h"

#define PAYLOAD (CHUNK_SIZE - CHUNK_HEADROOM) /* how many bytes an empty chunk holds */

static struct chunk_pool pool;

static int begin(void **state)
{
    (void)state;
    chunk_pool_init(&pool, 2);
    return 0;
}

/* Every test must return all chunks, which chunk_pool_finish asserts. */
static int end(void **state)
{
    (void)state;
    chunk_pool_finish(&pool);
    return 0;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static void fill(struct bufq *q, size_t n)
{
    AUTO_FREE uint8_t *bytes = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(i);
    assert_int_equal(bufq_write(q, bytes, n), n);
}

static void expect_bytes(struct bufq *q, size_t from, size_t n)
{
    AUTO_FREE uint8_t *bytes = xmalloc(n);
    assert_int_equal(bufq_read(q, bytes, n), n);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(from + i))
            fail_msg("byte %zu is wrong", from + i);
}

static void nothing_passes_the_limit(void **state)
{
    (void)state;
    struct bufq q;
    uint8_t bytes[101] = { 0 };

    bufq_init(&q, &pool, 100);
    assert_int_equal(bufq_write(&q, bytes, 99), 99);
    assert_int_equal(bufq_room(&q), 1);
    assert_false(bufq_full(&q));
    assert_false(bufq_put(&q, bytes, 2));
    assert_int_equal(q.len, 99);
    assert_true(bufq_put(&q, bytes, 1));
    assert_true(bufq_full(&q));
    assert_int_equal(bufq_write(&q, bytes, 1), 0);
    assert_true(bufq_put(&q, bytes, 0));
    bufq_clear(&q);
    assert_int_equal(bufq_write(&q, bytes, 101), 100);
    assert_int_equal(bufq_room(&q), 0);
    bufq_finish(&q);
}

static void limits_near_the_size_of_a_chunk_hold(void **state)
{
    (void)state;

    for (size_t limit = PAYLOAD - 1; limit <= PAYLOAD + 1; limit++) {
        for (size_t n = PAYLOAD - 1; n <= PAYLOAD + 2; n++) {
            AUTO_FREE uint8_t *bytes = xcalloc(1, n);
            struct bufq q;
            bufq_init(&q, &pool, limit);
            size_t taken = bufq_write(&q, bytes, n);
            assert_int_equal(taken, n < limit ? n : limit);
            assert_int_equal(pool.live, taken > PAYLOAD ? 2 : 1);
            bufq_finish(&q);
        }
    }
}

static void a_queue_that_empties_keeps_no_chunk(void **state)
{
    (void)state;
    struct bufq q;

    bufq_init(&q, &pool, 100000);
    fill(&q, 50000);
    assert_int_equal(pool.live, 4);
    bufq_skip(&q, PAYLOAD);
    assert_int_equal(pool.live, 3);
    bufq_skip(&q, 50000 - PAYLOAD);
    assert_int_equal(pool.live, 0);
    assert_null(q.head);
    assert_null(q.tail);
    assert_int_equal(pool.free_count, 2);
    chunk_pool_trim(&pool, 0);
    assert_int_equal(pool.free_count, 0);
}

static void unused_free_chunks_are_released(void **state)
{
    (void)state;
    struct bufq q;

    bufq_init(&q, &pool, 100000);
    fill(&q, 2 * PAYLOAD);
    assert_int_equal(pool.peak, 2);
    bufq_skip(&q, 2 * PAYLOAD);
    chunk_pool_trim(&pool, pool.peak);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(pool.peak, 0);
    fill(&q, PAYLOAD);
    assert_int_equal(pool.peak, 1);
    chunk_pool_trim(&pool, pool.peak);
    assert_int_equal(pool.free_count, 0);
    bufq_finish(&q);
}

static void few_bytes_begin_a_queue_in_a_small_chunk(void **state)
{
    (void)state;
    struct bufq q;
    uint8_t bytes[CHUNK_SMALL_ROOM];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = byte_at(i);
    bufq_init(&q, &pool, 100000);
    assert_int_equal(bufq_write_small(&q, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(pool.live, 1);
    assert_int_equal(pool.held, CHUNK_SMALL_SIZE);
    assert_int_equal(bufq_write_small(&q, bytes, 100), 100);
    assert_int_equal(pool.held, CHUNK_SMALL_SIZE + CHUNK_SIZE);
    expect_bytes(&q, 0, sizeof(bytes));
    expect_bytes(&q, 0, 100);
    assert_int_equal(pool.free_small_count, 1);
    assert_int_equal(bufq_write_small(&q, bytes, 1), 1);
    assert_int_equal(pool.free_small_count, 0);
    bufq_finish(&q);
    chunk_pool_trim(&pool, 0);
    assert_null(pool.free_small);
    assert_int_equal(pool.free_small_count, 0);
}

static void many_bytes_begin_a_queue_in_a_whole_chunk(void **state)
{
    (void)state;
    struct bufq q;
    uint8_t bytes[CHUNK_SMALL_ROOM + 1] = { 0 };

    bufq_init(&q, &pool, 100000);
    assert_int_equal(bufq_write_small(&q, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(pool.held, CHUNK_SIZE);
    bufq_clear(&q);
    q.limit = 10;
    assert_int_equal(bufq_write_small(&q, bytes, 100), 10);
    bufq_finish(&q);
}

/* Otherwise frames of 50 bytes would be sent in as many pieces. */
static void moving_gathers_small_chunks(void **state)
{
    (void)state;
    struct bufq from, to;
    uint8_t bytes[600] = { 0 };

    bufq_init(&from, &pool, 100000);
    bufq_init(&to, &pool, 100000);
    fill(&to, PAYLOAD - 100);
    for (size_t i = 0; i < 20; i++) {
        bufq_write_small(&from, bytes, sizeof(bytes));
        assert_int_equal(from.head->size, CHUNK_SMALL_SIZE);
        bufq_move(&to, &from);
    }
    assert_int_equal(pool.live, 2);
    bufq_clear(&to);
    bufq_write_small(&from, bytes, sizeof(bytes));
    bufq_move(&to, &from);
    assert_int_equal(to.head->size, CHUNK_SMALL_SIZE); /* re-linked */
    bufq_finish(&from);
    bufq_finish(&to);
}

static void a_head_is_written_before_its_payload_in_the_chunk(void **state)
{
    (void)state;
    struct bufq q;
    struct iovec iov[4];

    bufq_init(&q, &pool, 10);
    fill(&q, 10);
    memcpy(bufq_prepend(&q, 8), "headhead", 8);
    memset(bufq_prepend(&q, CHUNK_HEADROOM - 8), '-', CHUNK_HEADROOM - 8);
    assert_int_equal(pool.live, 1);
    assert_int_equal(bufq_iov(&q, iov, 4), 1);
    assert_int_equal(q.len, 10 + CHUNK_HEADROOM);
    assert_int_equal(bufq_room(&q), 0);
    memcpy(bufq_prepend(&q, 1), "+", 1); /* the headroom is used up: another chunk */
    assert_int_equal(pool.live, 2);
    assert_int_equal(bufq_iov(&q, iov, 4), 2);

    uint8_t bytes[1 + CHUNK_HEADROOM];
    assert_int_equal(bufq_read(&q, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(bytes[0], '+');
    assert_int_equal(bytes[1], '-');
    assert_memory_equal(bytes + 1 + CHUNK_HEADROOM - 8, "headhead", 8);
    expect_bytes(&q, 0, 10);
}

static void a_head_without_payload_is_written(void **state)
{
    (void)state;
    struct bufq q;
    uint8_t bytes[5];

    bufq_init(&q, &pool, 100);
    memcpy(bufq_prepend(&q, 3), "abc", 3);
    assert_int_equal(bufq_write(&q, "de", 2), 2);
    assert_int_equal(pool.live, 1);
    assert_int_equal(bufq_read(&q, bytes, 9), 5);
    assert_memory_equal(bytes, "abcde", 5);
}

/* A full chunk has room in front again after part of its payload was taken. */
static void skipped_bytes_become_headroom(void **state)
{
    (void)state;
    struct bufq q;

    bufq_init(&q, &pool, PAYLOAD);
    fill(&q, PAYLOAD);
    memset(bufq_prepend(&q, CHUNK_HEADROOM), 0, CHUNK_HEADROOM);
    bufq_skip(&q, CHUNK_HEADROOM + 4);
    memset(bufq_prepend(&q, CHUNK_HEADROOM), 0, CHUNK_HEADROOM);
    assert_int_equal(pool.live, 1);
    bufq_skip(&q, CHUNK_HEADROOM);
    expect_bytes(&q, 4, PAYLOAD - 4);
}

static void reserves_no_more_than_the_limit_allows(void **state)
{
    (void)state;
    struct bufq q;
    size_t room = 0;

    bufq_init(&q, &pool, PAYLOAD + 5);
    assert_non_null(bufq_reserve(&q, &room));
    assert_int_equal(room, PAYLOAD);
    bufq_settle(&q);
    assert_int_equal(pool.live, 0);
    memset(bufq_reserve(&q, &room), 1, room);
    bufq_commit(&q, room);
    assert_non_null(bufq_reserve(&q, &room));
    assert_int_equal(room, 5);
    bufq_settle(&q);
    memset(bufq_reserve(&q, &room), 1, room);
    bufq_commit(&q, room);
    assert_null(bufq_reserve(&q, &room));
    bufq_finish(&q);
}

/* Room that was reserved for a read that got nothing must not affect later calls. */
static void an_unused_reservation_is_invisible(void **state)
{
    (void)state;
    struct bufq q, other;
    struct iovec iov[4];
    size_t len, room;

    bufq_init(&q, &pool, 100000);
    bufq_init(&other, &pool, 100000);
    fill(&q, PAYLOAD); /* so that the reservation is a chunk of its own */
    assert_non_null(bufq_reserve(&q, &room));
    bufq_settle(&q);
    assert_int_equal(bufq_iov(&q, iov, 4), 1);
    fill(&other, PAYLOAD);
    assert_int_equal(bufq_move(&q, &other), PAYLOAD);
    assert_int_equal(bufq_iov(&q, iov, 4), 2);
    expect_bytes(&q, 0, PAYLOAD);
    assert_non_null(bufq_peek(&q, &len));
    assert_int_equal(len, PAYLOAD);
    assert_int_equal(bufq_move(&other, &q), PAYLOAD);
    expect_bytes(&other, 0, PAYLOAD);
    assert_null(bufq_peek(&q, &len));
    assert_int_equal(len, 0);
}

/* What readv got may end anywhere in the pieces, also in the first one or in none. */
static void a_reservation_in_pieces_commits_what_was_filled(void **state)
{
    (void)state;
    const size_t before = PAYLOAD - 10;

    for (size_t came = 0; came <= 2 * PAYLOAD + 15; came += came < 20 ? 1 : PAYLOAD / 2) {
        struct bufq q;
        struct iovec iov[4];
        size_t room, todo = came;

        bufq_init(&q, &pool, before + 2 * PAYLOAD + 15);
        fill(&q, before);
        size_t n = bufq_reserve_iov(&q, iov, 4, &room);
        assert_int_equal(n, 4);
        assert_int_equal(room, 2 * PAYLOAD + 15);
        assert_int_equal(iov[0].iov_len, 10);
        assert_int_equal(iov[3].iov_len, 5);
        for (size_t i = 0; i < n; i++) {
            size_t part = todo < iov[i].iov_len ? todo : iov[i].iov_len;
            for (size_t k = 0; k < part; k++)
                ((uint8_t *)iov[i].iov_base)[k] = byte_at(before + came - todo + k);
            todo -= part;
        }
        bufq_commit(&q, came);
        bufq_settle(&q);
        assert_int_equal(pool.live, 1 + (came > 10) + (came > 10 + PAYLOAD) +
                                        (came > 10 + 2 * PAYLOAD));
        expect_bytes(&q, 0, before + came);
        bufq_finish(&q);
        assert_int_equal(pool.live, 0);
    }
}

static void reserve_returns_no_more_pieces_than_requested(void **state)
{
    (void)state;
    struct bufq q;
    struct iovec iov[2];
    size_t room;

    bufq_init(&q, &pool, 100 * PAYLOAD);
    assert_int_equal(bufq_reserve_iov(&q, iov, 2, &room), 2);
    assert_int_equal(room, 2 * PAYLOAD);
    bufq_settle(&q);
    assert_int_equal(pool.live, 0);
    bufq_init(&q, &pool, 0);
    assert_int_equal(bufq_reserve_iov(&q, iov, 2, &room), 0);
    assert_int_equal(room, 0);
}

static void moving_relinks_whole_chunks(void **state)
{
    (void)state;
    struct bufq a, b;
    size_t len;

    bufq_init(&a, &pool, 100000);
    bufq_init(&b, &pool, 100000);
    fill(&a, 2 * PAYLOAD);
    const uint8_t *first = bufq_peek(&a, &len);
    assert_int_equal(bufq_move(&b, &a), 2 * PAYLOAD);
    assert_ptr_equal(bufq_peek(&b, &len), first);
    assert_int_equal(pool.live, 2);
    assert_null(a.head);
    expect_bytes(&b, 0, 2 * PAYLOAD);
}

static void moving_copies_parts_and_small_pieces(void **state)
{
    (void)state;
    struct bufq a, b;
    size_t len;

    bufq_init(&a, &pool, 100000);
    bufq_init(&b, &pool, 100000);
    fill(&a, 4000);
    const uint8_t *first = bufq_peek(&a, &len);
    assert_int_equal(bufq_move_n(&b, &a, 3999), 3999); /* not the whole chunk */
    assert_ptr_not_equal(bufq_peek(&b, &len), first);
    assert_int_equal(bufq_move_n(&b, &a, 1), 1);
    assert_int_equal(pool.live, 1);
    expect_bytes(&b, 0, 4000);
    for (int i = 0; i < 50; i++) { /* fifty small queues gather in one chunk */
        assert_true(bufq_put(&a, "0123456789", 10));
        assert_int_equal(bufq_move(&b, &a), 10);
        assert_int_equal(pool.live, 1);
    }
    assert_non_null(bufq_peek(&b, &len));
    assert_int_equal(len, 500);
    bufq_finish(&b);
}

static void moving_stops_at_the_limit_of_the_target(void **state)
{
    (void)state;
    struct bufq a, b;

    bufq_init(&a, &pool, 100000);
    bufq_init(&b, &pool, PAYLOAD + 1);
    fill(&a, 2 * PAYLOAD);
    assert_int_equal(bufq_move_n(&b, &a, 0), 0);
    assert_int_equal(bufq_move(&b, &a), PAYLOAD + 1);
    assert_int_equal(bufq_move(&b, &a), 0);
    assert_int_equal(a.len, PAYLOAD - 1);
    expect_bytes(&b, 0, PAYLOAD + 1);
    assert_int_equal(bufq_move(&b, &a), PAYLOAD - 1);
    expect_bytes(&b, PAYLOAD + 1, PAYLOAD - 1);
}

static void copies_from_any_offset(void **state)
{
    (void)state;
    struct bufq q;
    uint8_t bytes[100];
    static const size_t offsets[] = { 0,
                                      1,
                                      PAYLOAD - 50,
                                      PAYLOAD - 1,
                                      PAYLOAD,
                                      PAYLOAD + 1,
                                      2 * PAYLOAD - 100,
                                      2 * PAYLOAD - 99,
                                      2 * PAYLOAD,
                                      2 * PAYLOAD + 1 };

    bufq_init(&q, &pool, 100000);
    fill(&q, 2 * PAYLOAD);
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        size_t left = offsets[i] < q.len ? q.len - offsets[i] : 0;
        size_t n = bufq_copy(&q, offsets[i], bytes, sizeof(bytes));
        assert_int_equal(n, left < sizeof(bytes) ? left : sizeof(bytes));
        for (size_t k = 0; k < n; k++)
            assert_int_equal(bytes[k], byte_at(offsets[i] + k));
    }
    assert_int_equal(q.len, 2 * PAYLOAD);
    bufq_finish(&q);
}

static void packing_keeps_the_bytes_and_frees_chunks(void **state)
{
    (void)state;
    struct bufq q;

    bufq_init(&q, &pool, 100000);
    fill(&q, PAYLOAD + 10);
    bufq_skip(&q, 10);
    assert_int_equal(pool.live, 2);
    bufq_pack(&q);
    assert_int_equal(pool.live, 1);
    assert_int_equal(q.head->size, CHUNK_HEADROOM + PAYLOAD);
    const struct chunk *packed = q.head;
    bufq_pack(&q); /* nothing is gained by packing again */
    assert_ptr_equal(q.head, packed);
    memset(bufq_prepend(&q, CHUNK_HEADROOM), 0, CHUNK_HEADROOM);
    assert_int_equal(pool.live, 1);
    bufq_skip(&q, CHUNK_HEADROOM);
    expect_bytes(&q, 10, PAYLOAD);
    assert_int_equal(pool.live, 0);
    assert_int_equal(pool.free_count, 2); /* and the packed chunk is not kept */
}

/* More than two chunks are queued only for a fast reader. */
static void large_queues_are_not_packed(void **state)
{
    (void)state;
    struct bufq q;

    bufq_init(&q, &pool, 100000);
    fill(&q, 2 * CHUNK_SIZE + 1);
    const struct chunk *first = q.head;
    bufq_pack(&q);
    assert_ptr_equal(q.head, first);
    bufq_finish(&q);
}

static void iov_returns_at_most_the_requested_bytes(void **state)
{
    (void)state;
    struct bufq q;
    struct iovec iov[3];

    bufq_init(&q, &pool, 100000);
    assert_int_equal(bufq_iov(&q, iov, 3), 0);
    fill(&q, 3 * PAYLOAD + 1);
    assert_int_equal(bufq_iov(&q, iov, 0), 0);
    assert_int_equal(bufq_iov(&q, iov, 3), 3);
    assert_int_equal(iov[2].iov_len, PAYLOAD);
    assert_int_equal(*(uint8_t *)iov[2].iov_base, byte_at(2 * PAYLOAD));
    bufq_skip(&q, PAYLOAD + 1);
    assert_int_equal(bufq_iov(&q, iov, 3), 3);
    assert_int_equal(iov[0].iov_len, PAYLOAD - 1);
    assert_int_equal(iov[2].iov_len, 1);
    bufq_finish(&q);
}

/* ---- two queues and their models, after any sequence of operations ---- */

#define MODEL_MAX 70000

struct model {
    struct bufq q;
    uint8_t bytes[2 * MODEL_MAX];
    size_t at, len;
};

static struct model models[2];
static struct sched dice;
static uint8_t scratch[MODEL_MAX];

static size_t below(size_t n)
{
    return (size_t)sched_random_below(&dice, n);
}

/* Mostly small, sometimes around a chunk, seldom large. */
static size_t any_size(void)
{
    switch (below(4)) {
    case 0:
        return below(8);
    case 1:
        return below(300);
    case 2:
        return PAYLOAD - 20 + below(40);
    default:
        return below(40000);
    }
}

static void model_append(struct model *m, const uint8_t *bytes, size_t n)
{
    if (m->at + m->len + n > sizeof(m->bytes)) {
        memmove(m->bytes + CHUNK_HEADROOM, m->bytes + m->at, m->len);
        m->at = CHUNK_HEADROOM;
    }
    memcpy(m->bytes + m->at + m->len, bytes, n);
    m->len += n;
}

static void model_prepend(struct model *m, const uint8_t *bytes, size_t n)
{
    if (m->at < n) {
        memmove(m->bytes + MODEL_MAX / 2, m->bytes + m->at, m->len);
        m->at = MODEL_MAX / 2;
    }
    m->at -= n;
    m->len += n;
    memcpy(m->bytes + m->at, bytes, n);
}

static void model_drop(struct model *m, size_t n)
{
    m->at += n;
    m->len -= n;
    if (m->len == 0)
        m->at = CHUNK_HEADROOM;
}

static void roll(size_t n)
{
    uint8_t first = (uint8_t)sched_random(&dice);
    for (size_t i = 0; i < n; i++)
        scratch[i] = (uint8_t)(first + i);
}

static void try_writing(struct model *m)
{
    size_t n = any_size();
    roll(n);
    model_append(m, scratch, bufq_write(&m->q, scratch, n));
}

static void try_writing_small(struct model *m)
{
    size_t n = any_size() % 2000;
    roll(n);
    model_append(m, scratch, bufq_write_small(&m->q, scratch, n));
}

static void try_reserving(struct model *m)
{
    size_t room = 0;
    uint8_t *to = bufq_reserve(&m->q, &room);
    assert_int_equal(to == NULL, bufq_full(&m->q));
    if (!to)
        return;
    assert_in_range(room, 1, bufq_room(&m->q));
    size_t n = below(room + 1);
    roll(n);
    memcpy(to, scratch, n);
    model_append(m, scratch, n);
    bufq_commit(&m->q, n);
    bufq_settle(&m->q);
}

static void try_prepending(struct model *m)
{
    size_t n = 1 + below(CHUNK_HEADROOM);
    if (m->q.len > MODEL_MAX / 2)
        return;
    roll(n);
    memcpy(bufq_prepend(&m->q, n), scratch, n);
    model_prepend(m, scratch, n);
}

static void try_reading(struct model *m)
{
    size_t n = any_size();
    size_t got = bufq_read(&m->q, scratch, n);
    assert_int_equal(got, n < m->len ? n : m->len);
    assert_memory_equal(scratch, m->bytes + m->at, got);
    model_drop(m, got);
}

static void try_skipping(struct model *m)
{
    size_t n = any_size();
    n = n < m->len ? n : m->len;
    bufq_skip(&m->q, n);
    model_drop(m, n);
}

static void try_moving(struct model *m)
{
    struct model *to = m == &models[0] ? &models[1] : &models[0];
    size_t max = below(3) ? any_size() : SIZE_MAX;
    size_t want = m->len < max ? m->len : max;
    want = want < bufq_room(&to->q) ? want : bufq_room(&to->q);
    assert_int_equal(bufq_move_n(&to->q, &m->q, max), want);
    model_append(to, m->bytes + m->at, want);
    model_drop(m, want);
}

static void try_copying(struct model *m)
{
    size_t offset = below(m->len + 10), n = any_size();
    size_t left = offset < m->len ? m->len - offset : 0;
    size_t got = bufq_copy(&m->q, offset, scratch, n);
    assert_int_equal(got, n < left ? n : left);
    assert_memory_equal(scratch, m->bytes + m->at + offset, got);
}

static void try_packing(struct model *m)
{
    bufq_pack(&m->q);
}

static void check_iov(const struct model *m)
{
    struct iovec iov[64];
    size_t n = bufq_iov(&m->q, iov, 64), at = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_memory_equal(iov[i].iov_base, m->bytes + m->at + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_true(n == 64 || at == m->len);
}

static void check(const struct model *m)
{
    size_t len;
    const uint8_t *first = bufq_peek(&m->q, &len);

    assert_int_equal(m->q.len, m->len);
    assert_int_equal(first == NULL, m->len == 0);
    assert_true(len <= m->len);
    if (first)
        assert_int_equal(*first, m->bytes[m->at]);
    if (m->len == 0)
        assert_null(m->q.head);
}

static void random_operations_agree_with_an_array(void **state)
{
    (void)state;
    static void (*const tries[])(struct model *) = {
        try_writing, try_reserving, try_prepending, try_reading, try_skipping,
        try_moving,  try_copying,   try_moving,     try_packing, try_writing_small,
    };

    sched_init(&dice, 42);
    for (size_t i = 0; i < 2; i++) {
        bufq_init(&models[i].q, &pool, i ? 50000 : 20000);
        models[i].at = CHUNK_HEADROOM;
        models[i].len = 0;
    }
    for (int i = 0; i < 200000; i++) {
        struct model *m = &models[below(2)];
        tries[below(ARRAY_LEN(tries))](m);
        check(&models[0]);
        check(&models[1]);
        if (i % 16 == 0)
            check_iov(m);
    }
    bufq_finish(&models[0].q);
    bufq_finish(&models[1].q);
    sched_finish(&dice);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(nothing_passes_the_limit),
        TEST(limits_near_the_size_of_a_chunk_hold),
        TEST(a_queue_that_empties_keeps_no_chunk),
        TEST(unused_free_chunks_are_released),
        TEST(few_bytes_begin_a_queue_in_a_small_chunk),
        TEST(many_bytes_begin_a_queue_in_a_whole_chunk),
        TEST(moving_gathers_small_chunks),
        TEST(a_head_is_written_before_its_payload_in_the_chunk),
        TEST(a_head_without_payload_is_written),
        TEST(skipped_bytes_become_headroom),
        TEST(reserves_no_more_than_the_limit_allows),
        TEST(an_unused_reservation_is_invisible),
        TEST(a_reservation_in_pieces_commits_what_was_filled),
        TEST(reserve_returns_no_more_pieces_than_requested),
        TEST(moving_relinks_whole_chunks),
        TEST(moving_copies_parts_and_small_pieces),
        TEST(moving_stops_at_the_limit_of_the_target),
        TEST(copies_from_any_offset),
        TEST(packing_keeps_the_bytes_and_frees_chunks),
        TEST(large_queues_are_not_packed),
        TEST(iov_returns_at_most_the_requested_bytes),
        TEST(random_operations_agree_with_an_array),
    };
    return cmocka_run_group_tests_name("base/bufq", tests, NULL, NULL);
}
