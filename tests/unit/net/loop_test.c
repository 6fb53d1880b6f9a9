/* tests/unit/net/loop_test.c - the run queue on libuv: turns, waits, signals */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop.h"

static struct loop *loop;

static int begin(void **state)
{
    (void)state;
    loop = loop_create();
    return 0;
}

static int end(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

struct counter {
    struct task task;
    struct timer timer;
    unsigned runs, stop_at;
    bool yields;
};

static void on_run(struct task *task)
{
    struct counter *c = container_of(task, struct counter, task);
    if (++c->runs == c->stop_at)
        loop_stop(loop);
    else if (c->yields)
        task_yield(task);
}

static void on_fire(struct timer *timer)
{
    task_wake(&container_of(timer, struct counter, timer)->task);
}

static void counter_init(struct counter *c)
{
    *c = (struct counter){ 0 };
    task_init(&c->task, loop_sched(loop), RANK_WORK, on_run);
    timer_init(&c->timer, loop_sched(loop), on_fire);
}

static void runs_until_stopped(void **state)
{
    (void)state;
    struct counter c;

    counter_init(&c);
    c.stop_at = 1;
    timer_set(&c.timer, 5);
    uint64_t started = loop_sched(loop)->now;
    loop_run(loop);
    assert_int_equal(c.runs, 1);
    assert_true(loop_sched(loop)->now >= started + 5);
}

/* With a task that yields the poll never blocks, and all other tasks get their turn. */
static void a_yielding_task_keeps_the_loop_turning(void **state)
{
    (void)state;
    struct counter busy, patient;

    counter_init(&busy);
    counter_init(&patient);
    busy.yields = true;
    patient.stop_at = 1;
    timer_set(&patient.timer, 3);
    task_wake(&busy.task);
    loop_run(loop);
    assert_int_equal(patient.runs, 1);
    assert_true(busy.runs > 3);
    task_cancel(&busy.task);
}

static void one_turn_waits_no_longer_than_it_may(void **state)
{
    (void)state;
    struct counter c;

    counter_init(&c);
    for (uint64_t ms = 0; ms < 4; ms++)
        for (int i = 0; i < 20; i++)
            loop_run_once(loop, ms); /* it returns also when nothing happens */
    task_wake(&c.task);
    loop_run_once(loop, 0);
    assert_int_equal(c.runs, 1);
}

static void one_turn_ends_with_the_first_event(void **state)
{
    (void)state;
    struct counter c;

    counter_init(&c);
    timer_set(&c.timer, 2);
    for (int i = 0; i < 20 && !c.runs; i++)
        loop_run_once(loop, 60000);
    assert_int_equal(c.runs, 1);
}

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t before = loop_sched(loop)->now;

    assert_true(before > 0);
    for (int i = 0; i < 10; i++) {
        loop_run_once(loop, 1);
        assert_true(loop_sched(loop)->now >= before);
        before = loop_sched(loop)->now;
    }
}

static void a_signal_is_counted_and_wakes(void **state)
{
    (void)state;
    struct counter c;
    unsigned count = 0;

    counter_init(&c);
    struct loop_signal *s = loop_signal_open(loop, SIGUSR1, &count, &c.task);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 100 && !count; i++)
        loop_run_once(loop, 50);
    loop_run_once(loop, 0);
    assert_int_equal(count, 1);
    assert_int_equal(c.runs, 1);
    loop_signal_close(s);
    loop_signal_close(NULL);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void destroyed_loop_leaves_no_descriptor(void **state)
{
    (void)state;
    unsigned before = open_descriptors();

    loop_destroy(NULL);
    loop_destroy(loop_create());
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(runs_until_stopped),
        TEST(a_yielding_task_keeps_the_loop_turning),
        TEST(one_turn_waits_no_longer_than_it_may),
        TEST(one_turn_ends_with_the_first_event),
        TEST(the_clock_never_goes_back),
        TEST(a_signal_is_counted_and_wakes),
        TEST(destroyed_loop_leaves_no_descriptor),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
