/* tests/unit/net/stream_test.c - what holds for every stream, on the pair in memory */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "net/stream.h"

static struct sched sched;
static struct chunk_pool pool;
static struct stream *a, *b;
static struct task a_wake, b_wake;
static unsigned a_wakes, b_wakes;

static void on_a(struct task *task)
{
    (void)task;
    a_wakes++;
}

static void on_b(struct task *task)
{
    (void)task;
    b_wakes++;
}

static int begin(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    chunk_pool_init(&pool, 0);
    struct stream_pair pair = mem_stream_pair(&sched, &pool, 100);
    a = pair.a;
    b = pair.b;
    task_init(&a_wake, &sched, RANK_WORK, on_a);
    task_init(&b_wake, &sched, RANK_WORK, on_b);
    a->wake = &a_wake;
    b->wake = &b_wake;
    a_wakes = b_wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_close(a);
    stream_close(b);
    task_cancel(&a_wake);
    task_cancel(&b_wake);
    chunk_pool_finish(&pool);
    sched_finish(&sched);
    return 0;
}

static void run(void)
{
    sched_run(&sched, sched.now);
}

static void bytes_arrive_and_wake_both_sides(void **state)
{
    (void)state;

    bufq_write(&a->out, "hello", 5);
    stream_update(a);
    assert_int_equal(b->in.len, 0); /* nothing runs inside a call */
    run();
    assert_int_equal(b->in.len, 5);
    assert_int_equal(a_wakes, 1); /* there is room again */
    assert_int_equal(b_wakes, 1);
}

static void a_slow_reader_stops_the_writer(void **state)
{
    (void)state;
    char bytes[150] = { 0 };

    assert_int_equal(bufq_write(&a->out, bytes, 150), 100);
    stream_update(a);
    run();
    assert_int_equal(bufq_write(&a->out, bytes, 50), 50);
    stream_update(a);
    run();
    assert_int_equal(b->in.len, 100);
    assert_int_equal(a->out.len, 50);
    bufq_skip(&b->in, 30);
    stream_update(b);
    run();
    assert_int_equal(b->in.len, 100);
    assert_int_equal(a->out.len, 20);
}

static void a_paused_stream_gets_nothing(void **state)
{
    (void)state;

    b->paused = true;
    bufq_write(&a->out, "hello", 5);
    stream_shutdown(a);
    run();
    assert_int_equal(b->in.len, 0);
    assert_false(b->in_eof);
    b->paused = false;
    stream_update(b);
    run();
    assert_int_equal(b->in.len, 5);
    assert_true(b->in_eof);
}

static void eof_follows_the_last_byte_in_one_direction(void **state)
{
    (void)state;

    bufq_write(&a->out, "bye", 3);
    stream_shutdown(a);
    assert_false(a->out_eof);
    run();
    assert_true(a->out_eof);
    assert_true(b->in_eof);
    assert_false(b->broken);
    assert_int_equal(b->end.verdict, V_CLEAN);
    assert_int_equal(b->in.len, 3);
    bufq_write(&b->out, "still here", 10);
    stream_update(b);
    run();
    assert_int_equal(a->in.len, 10);
    assert_int_equal(a->end.verdict, V_OPEN);
}

static void closing_before_eof_is_a_reset_and_after_it_is_not(void **state)
{
    (void)state;

    stream_shutdown(a);
    run();
    stream_close(TAKE(a));
    assert_int_equal(b->end.verdict, V_CLEAN);
    assert_false(b->broken);
    end(NULL);
    begin(NULL);
    stream_close(TAKE(a));
    run();
    assert_int_equal(b->end.verdict, V_RESET);
    assert_true(b->in_eof && b->broken);
    assert_int_equal(b_wakes, 1);
}

static void aborting_breaks_the_other_side(void **state)
{
    (void)state;

    bufq_write(&b->out, "lost", 4);
    stream_abort(TAKE(a));
    assert_int_equal(b->end.verdict, V_RESET);
    assert_int_equal(b->out.len, 0);
    stream_update(b); /* harmless now */
    run();
}

static void the_first_verdict_stands(void **state)
{
    (void)state;

    stream_end(a, V_CLEAN, NULL);
    assert_true(a->in_eof);
    assert_false(a->broken);
    stream_end(a, V_CLEAN, "again");
    assert_string_equal(a->end.why.text, "");
    stream_end(a, V_RESET, "then reset"); /* all came, but nothing can be sent now */
    assert_int_equal(a->end.verdict, V_CLEAN);
    assert_true(a->broken);
    assert_string_equal(a->end.why.text, "then reset");
    stream_end(a, V_TRANSPORT_LOST, "no news");
    assert_string_equal(a->end.why.text, "then reset");
    run();
    assert_int_equal(a_wakes, 1);

    stream_end(b, V_REFUSED, "first");
    stream_end(b, V_CLEAN, "second");
    assert_int_equal(b->end.verdict, V_REFUSED);
    assert_string_equal(b->end.why.text, "first");
    assert_true(b->in_eof && b->broken);
}

static void a_stream_without_user_ends_and_null_is_closed(void **state)
{
    (void)state;

    stream_close(NULL);
    stream_abort(NULL);
    a->wake = NULL;
    stream_end(a, V_RESET, NULL);
    run();
    assert_int_equal(a->end.verdict, V_RESET);
    assert_true(a->broken && a->in_eof);
    assert_int_equal(b->end.verdict, V_OPEN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_and_wake_both_sides),
        TEST(a_slow_reader_stops_the_writer),
        TEST(a_paused_stream_gets_nothing),
        TEST(eof_follows_the_last_byte_in_one_direction),
        TEST(closing_before_eof_is_a_reset_and_after_it_is_not),
        TEST(aborting_breaks_the_other_side),
        TEST(the_first_verdict_stands),
        TEST(a_stream_without_user_ends_and_null_is_closed),
    };
    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
