/* tests/unit/http/body_test.c - bodies of every framing, cut everywhere */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/body.h"

#include "base/own.h"

#define CHUNKED "5;x=y\r\nhello\r\n1\r\n \r\n00005\r\nworld\r\n0\r\nTrailer: 1\r\n\r\n"

static struct chunk_pool pool;
static struct bufq from, to;

static int setup(void **state)
{
    (void)state;
    chunk_pool_init(&pool, 0);
    bufq_init(&from, &pool, 100000);
    bufq_init(&to, &pool, 100000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bufq_finish(&from);
    bufq_finish(&to);
    chunk_pool_finish(&pool);
    return 0;
}

static void start(struct body *b, enum http1_framing framing, uint64_t length)
{
    struct http1_head *head = xcalloc(1, sizeof(*head));
    head->framing = framing;
    head->length = length;
    body_init(b, head);
    free(head);
    bufq_clear(&from);
    bufq_clear(&to);
}

static void move(struct body *b, bool decode, size_t wanted)
{
    size_t moved;
    assert_int_equal(
        body_move(b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &moved), OK);
    assert_int_equal(moved, wanted);
}

static void assert_moved(const char *text)
{
    char moved[200] = "";
    bufq_copy(&to, 0, moved, sizeof(moved) - 1);
    assert_string_equal(moved, text);
}

static void a_message_without_body_is_done_at_once(void **state)
{
    (void)state;
    struct body b;

    start(&b, BODY_NONE, 0);
    assert_true(b.done);
    start(&b, BODY_LENGTH, 0);
    assert_true(b.done);
    bufq_write(&from, "next", 4);
    move(&b, false, 0);
}

static void a_body_with_a_length_ends_there(void **state)
{
    (void)state;
    struct body b;

    start(&b, BODY_LENGTH, 5);
    bufq_write(&from, "hel", 3);
    move(&b, false, 3);
    assert_false(b.done);
    bufq_write(&from, "loNEXT", 6);
    move(&b, false, 2);
    assert_true(b.done);
    assert_moved("hello");
    assert_int_equal(from.len, 4);
}

/* Every split in two, with the coding passed on and removed; bytes after the body are not
 * read. */
static void chunks_are_read_however_they_are_split(void **state)
{
    (void)state;
    const char *wire = CHUNKED "NEXT";
    size_t len = strlen(CHUNKED);

    for (size_t cut = 0; cut <= len; cut++)
        for (int decode = 0; decode < 2; decode++) {
            struct body b;
            size_t first, second;
            start(&b, BODY_CHUNKED, 0);
            bufq_write(&from, wire, cut);
            assert_int_equal(
                body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &first),
                OK);
            assert_int_equal(b.done, cut == len);
            bufq_write(&from, wire + cut, len + 4 - cut);
            assert_int_equal(
                body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &second),
                OK);
            assert_true(b.done);
            assert_moved(decode ? "hello world" : CHUNKED);
            assert_int_equal(first + second, decode ? 11 : len);
            assert_int_equal(from.len, 4);
        }
}

static void a_body_without_length_ends_with_the_connection(void **state)
{
    (void)state;
    struct body b;

    start(&b, BODY_TO_EOF, 0);
    bufq_write(&from, CHUNKED, 20);
    move(&b, true, 20);
    assert_false(b.done);
}

/* An output queue with room for one byte at a time gets the whole body. */
static void a_body_passes_an_output_of_one_byte(void **state)
{
    (void)state;

    for (int decode = 0; decode < 2; decode++) {
        struct body b;
        char all[100] = "";
        size_t len = 0;
        start(&b, BODY_CHUNKED, 0);
        bufq_write(&from, CHUNKED, strlen(CHUNKED));
        to.limit = 1;
        for (int i = 0; i < 200 && !b.done; i++) {
            size_t moved;
            assert_int_equal(
                body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &moved),
                OK);
            assert_true(to.len <= 1);
            len += bufq_read(&to, all + len, 1);
        }
        assert_true(b.done);
        assert_string_equal(all, decode ? "hello world" : CHUNKED);
        to.limit = 100000;
    }
}

static void malformed_chunks_are_refused(void **state)
{
    (void)state;

    for (int decode = 0; decode < 2; decode++) {
        struct body b;
        size_t moved;
        start(&b, BODY_CHUNKED, 0);
        bufq_write(&from, "5\r\nhelloX", 9);
        assert_int_equal(
            body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &moved),
            ERR_PROTO);
        assert_non_null(b.chunked.problem);
    }
}

static void bytes_before_a_malformed_chunk_are_delivered(void **state)
{
    (void)state;
    for (int decode = 0; decode <= 1; decode++) {
        struct body b;
        size_t moved = 0;
        start(&b, BODY_CHUNKED, 0);
        bufq_write(&from, "5\r\nhello\r\n1zz\r\n", 16);
        enum err e =
            body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &moved);
        assert_int_equal(e, ERR_PROTO);
        assert_moved(decode ? "hello" : "5\r\nhello");
        assert_string_equal(b.chunked.problem,
                            "a forbidden character after a chunk size");
        assert_int_equal(
            body_move(&b, &from, &to, decode ? CODING_STRIP : CODING_NONE, &moved),
            ERR_PROTO);
    }
}

static void drops_a_body_and_nothing_after_it(void **state)
{
    (void)state;
    struct body b;

    start(&b, BODY_CHUNKED, 0);
    bufq_write(&from, CHUNKED "NEXT", strlen(CHUNKED) + 4);
    assert_int_equal(body_discard(&b, &from), OK);
    assert_true(b.done);
    assert_int_equal(from.len, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void plain_bytes_become_chunks(void **state)
{
    (void)state;
    struct body b;
    size_t moved;

    start(&b, BODY_TO_END, 0);
    bufq_write(&from, "hello world, you", 16);
    assert_int_equal(body_move(&b, &from, &to, CODING_CHUNKS, &moved), OK);
    assert_int_equal(moved, 16);
    body_end_chunks(&to, STR("sum: 1\r\n"));
    assert_moved("10\r\nhello world, you\r\n0\r\nsum: 1\r\n\r\n");
}

static void chunks_never_pass_the_limit_of_a_queue(void **state)
{
    (void)state;
    struct body b;
    size_t moved;

    for (size_t limit = 1; limit < 60; limit++) {
        start(&b, BODY_TO_END, 0);
        to.limit = limit;
        bufq_write(&from, "0123456789012345678901234567890123456789", 40);
        assert_int_equal(body_move(&b, &from, &to, CODING_CHUNKS, &moved), OK);
        assert_true(to.len <= limit);
        assert_int_equal(moved + from.len, 40);
        to.limit = 100000;
    }
}

/* Cut anywhere, in requests and in answers, which may have blanks that are dropped. */
static void trailers_are_kept_wherever_a_body_is_cut(void **state)
{
    (void)state;
    static const char text[] = "5;x=y \r\nhello\r\n0 ;z\r\nA : 1\r\nB:2\r\n\r\nnext";
    size_t len = sizeof(text) - 1, moved;

    for (size_t cut = 0; cut <= len; cut++) {
        struct head_text trailers = { 0 };
        struct body b;
        start(&b, BODY_CHUNKED, 0);
        b.chunked.answer = true;
        b.trailers = &trailers;
        bufq_write(&from, text, cut);
        assert_int_equal(body_move(&b, &from, &to, CODING_STRIP, &moved), OK);
        bufq_write(&from, text + cut, len - cut);
        assert_int_equal(body_move(&b, &from, &to, CODING_STRIP, &moved), OK);
        assert_true(b.done);
        assert_moved("hello");
        assert_int_equal(from.len, 4);
        assert_int_equal(trailers.len, 11);
        assert_memory_equal(trailers.at, "A: 1\r\nB:2\r\n", 11);
        head_text_finish(&trailers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_without_body_is_done_at_once),
        TEST(a_body_with_a_length_ends_there),
        TEST(chunks_are_read_however_they_are_split),
        TEST(a_body_without_length_ends_with_the_connection),
        TEST(a_body_passes_an_output_of_one_byte),
        TEST(malformed_chunks_are_refused),
        TEST(bytes_before_a_malformed_chunk_are_delivered),
        TEST(drops_a_body_and_nothing_after_it),
        TEST(plain_bytes_become_chunks),
        TEST(chunks_never_pass_the_limit_of_a_queue),
        TEST(trailers_are_kept_wherever_a_body_is_cut),
    };
    return cmocka_run_group_tests_name("http/body", tests, NULL, NULL);
}
