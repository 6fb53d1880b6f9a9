/* tests/unit/daemon/memory_test.c - when free chunks and unused heap are returned to the
 * system */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "daemon/memory.h"

#define LOOK 10000 /* ms between two checks */

static struct loop *loop;
static struct memory *memory;
static uint64_t now;
static unsigned trims; /* calls of the function of memory_on_quiet */

static void on_quiet(void *owner)
{
    assert_ptr_equal(owner, &trims);
    trims++;
}

static int setup(void **state)
{
    (void)state;
    loop = loop_create();
    now = loop_sched(loop)->now;
    memory = memory_create(loop);
    memory_on_quiet(memory, on_quiet, &trims);
    trims = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    memory_destroy(memory);
    loop_destroy(loop);
    return 0;
}

static void pass(uint64_t ms)
{
    now += ms;
    sched_run(loop_sched(loop), now);
}

/* Uses n chunks for a moment. */
static void use_chunks(size_t n)
{
    struct bufq q;
    char block[4096] = "";

    bufq_init(&q, loop_pool(loop), SIZE_MAX);
    while (loop_pool(loop)->live < n)
        bufq_write(&q, block, sizeof(block));
    bufq_finish(&q);
}

static void free_chunks_of_a_burst_are_released_20_s_after_it(void **state)
{
    (void)state;
    use_chunks(100);
    size_t kept = loop_pool(loop)->free_count;
    assert_true(kept > 8);
    pass(LOOK);
    assert_int_equal(loop_pool(loop)->free_count, kept);
    pass(LOOK);
    assert_int_equal(loop_pool(loop)->free_count, kept);
    pass(LOOK);
    assert_int_equal(loop_pool(loop)->free_count, 0);
}

static void other_free_lists_are_trimmed_once_without_load(void **state)
{
    (void)state;
    use_chunks(100);
    pass(LOOK);
    pass(LOOK);
    assert_int_equal(trims, 0);
    pass(LOOK);
    assert_int_equal(trims, 1);
    use_chunks(8); /* a request now and then is no load */
    pass(5 * LOOK);
    assert_int_equal(trims, 1);
}

static void after_another_load_they_are_trimmed_again(void **state)
{
    (void)state;
    pass(LOOK);
    assert_int_equal(trims, 1);
    use_chunks(9);
    pass(LOOK);
    pass(LOOK);
    assert_int_equal(trims, 1);
    pass(LOOK);
    assert_int_equal(trims, 2);
}

static void nothing_is_released_before_ten_seconds(void **state)
{
    (void)state;
    pass(LOOK - 1);
    assert_int_equal(trims, 0);
    pass(1);
    assert_int_equal(trims, 1);
    memory_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(free_chunks_of_a_burst_are_released_20_s_after_it),
        TEST(other_free_lists_are_trimmed_once_without_load),
        TEST(after_another_load_they_are_trimmed_again),
        TEST(nothing_is_released_before_ten_seconds),
    };
    return cmocka_run_group_tests_name("daemon/memory", tests, NULL, NULL);
}
