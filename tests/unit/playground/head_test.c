#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "playground/head.h"

static const char request[] = "GET /a?n=5&m HTTP/1.1\r\nHost: x\r\n\r\n";

struct fixture {
    struct chunk_pool pool;
    struct bufq in;
    struct head_reader reader;
    struct http1_head head;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ 0 };
    chunk_pool_init(&f.pool, 4);
    bufq_init(&f.in, &f.pool, 2 * REQUEST_HEAD_MAX);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    head_finish(&f->reader);
    bufq_finish(&f->in);
    chunk_pool_finish(&f->pool);
    return 0;
}

static void reads_a_head_that_comes_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(head_read(&f->reader, &f->in, &f->head), ERR_AGAIN);
        bufq_write(&f->in, request + i, 1);
    }
    assert_int_equal(head_read(&f->reader, &f->in, &f->head), OK);
    assert_true(str_eq(head_bytes(&f->reader, &f->in), str_of(request)));
    head_done(&f->reader, &f->in);
    assert_true(bufq_empty(&f->in));
}

/* The chunk's edge at every place in the head. */
static void reads_a_head_across_chunks(void **state)
{
    struct fixture *f = *state;
    static const char filler[CHUNK_SIZE];
    size_t room = CHUNK_SIZE - CHUNK_HEADROOM;

    for (size_t i = 1; i < sizeof(request) - 1; i++) {
        bufq_write(&f->in, filler, room - i);
        bufq_write(&f->in, request, sizeof(request) - 1);
        bufq_skip(&f->in, room - i);
        assert_int_equal(head_read(&f->reader, &f->in, &f->head), OK);
        assert_true(str_eq(f->head.target, STR("/a?n=5&m")));
        assert_true(str_eq(head_bytes(&f->reader, &f->in), str_of(request)));
        head_done(&f->reader, &f->in);
        assert_true(bufq_empty(&f->in));
    }
}

static void bytes_after_the_head_stay_queued(void **state)
{
    struct fixture *f = *state;
    bufq_write(&f->in, "\r\n\r\n", 4);
    bufq_write(&f->in, request, sizeof(request) - 1);
    bufq_write(&f->in, "body", 4);
    assert_int_equal(head_read(&f->reader, &f->in, &f->head), OK);
    head_done(&f->reader, &f->in);
    assert_int_equal(f->in.len, 4);
}

static void refuses_a_head_without_end(void **state)
{
    struct fixture *f = *state;
    static const char line[] = "GET / HTTP/1.1\r\nX: ";
    static char filler[REQUEST_HEAD_MAX];

    memset(filler, 'x', sizeof(filler));

    bufq_write(&f->in, line, sizeof(line) - 1);
    bufq_write(&f->in, filler, sizeof(filler));
    assert_int_equal(head_read(&f->reader, &f->in, &f->head), ERR_LIMIT);
    assert_non_null(f->head.problem);
}

static void finds_query_values(void **state)
{
    (void)state;
    struct str target = STR("/a?n=5&m&k=");
    assert_true(str_eq(target_path(target), STR("/a")));
    assert_true(str_eq(target_query(target, STR("n")), STR("5")));
    assert_non_null(target_query(target, STR("m")).at);
    assert_non_null(target_query(target, STR("k")).at);
    assert_null(target_query(target, STR("a")).at);
    assert_null(target_query(STR("/"), STR("a")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_a_head_that_comes_byte_by_byte, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reads_a_head_across_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_after_the_head_stay_queued, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_a_head_without_end, setup, teardown),
        cmocka_unit_test(finds_query_values),
    };
    return cmocka_run_group_tests_name("playground/head", tests, NULL, NULL);
}
