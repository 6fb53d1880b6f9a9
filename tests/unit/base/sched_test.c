/* tests/unit/base/sched_test.c - turns, ranks, timers and the clock */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/sched.h"

static struct sched sched;
static char trace[256]; /* the names of what ran, in order */

static int begin(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    trace[0] = '\0';
    return 0;
}

static int end(void **state)
{
    (void)state;
    sched_finish(&sched);
    return 0;
}

/* A task that writes its name and then does one thing. */
struct actor {
    struct task task;
    char name;
    struct task *then_wakes, *then_cancels;
    bool then_yields;
    unsigned wakes_itself;
};

static void on_actor(struct task *task)
{
    struct actor *a = container_of(task, struct actor, task);
    size_t n = strlen(trace);

    assert_true(n < sizeof(trace) - 1);
    trace[n] = a->name;
    trace[n + 1] = '\0';
    task_wake(a->then_wakes);
    if (a->then_cancels)
        task_cancel(a->then_cancels);
    if (a->then_yields)
        task_yield(&a->task);
    if (a->wakes_itself) {
        a->wakes_itself--;
        task_wake(&a->task);
    }
}

static void actor_init(struct actor *a, char name, enum rank rank)
{
    *a = (struct actor){ .name = name };
    task_init(&a->task, &sched, rank, on_actor);
}

static void ranks_run_in_order(void **state)
{
    (void)state;
    struct actor f, w, r;

    actor_init(&f, 'f', RANK_FLUSH);
    actor_init(&w, 'w', RANK_WORK);
    actor_init(&r, 'r', RANK_READ);
    task_wake(&f.task);
    task_wake(&w.task);
    task_wake(&r.task);
    sched_run(&sched, 2);
    assert_string_equal(trace, "rwf");
}

/* A rank runs only while lower ranks are empty, also if its own task has woken them. */
static void a_woken_task_of_a_lower_rank_runs_first(void **state)
{
    (void)state;
    struct actor f, f2, w, r;

    actor_init(&f, 'f', RANK_FLUSH);
    actor_init(&f2, 'F', RANK_FLUSH);
    actor_init(&w, 'w', RANK_WORK);
    actor_init(&r, 'r', RANK_READ);
    f.then_wakes = &w.task;
    w.then_wakes = &r.task;
    task_wake(&f.task);
    task_wake(&f2.task);
    sched_run(&sched, 2);
    assert_string_equal(trace, "fwrF");
}

static void several_wakes_cause_one_run(void **state)
{
    (void)state;
    struct actor a;

    actor_init(&a, 'a', RANK_WORK);
    for (int i = 0; i < 5; i++)
        task_wake(&a.task);
    sched_run(&sched, 2);
    assert_string_equal(trace, "a");
    sched_run(&sched, 3);
    assert_string_equal(trace, "a");
    task_wake(NULL);
}

static void a_task_that_wakes_itself_runs_again_in_the_same_turn(void **state)
{
    (void)state;
    struct actor a;

    actor_init(&a, 'a', RANK_WORK);
    a.wakes_itself = 2;
    task_wake(&a.task);
    sched_run(&sched, 2);
    assert_string_equal(trace, "aaa");
}

static void a_task_that_yields_runs_in_the_next_turn(void **state)
{
    (void)state;
    struct actor a;

    actor_init(&a, 'a', RANK_WORK);
    a.then_yields = true;
    task_wake(&a.task);
    sched_run(&sched, 2);
    assert_string_equal(trace, "a");
    assert_int_equal(sched_wait(&sched), 0);
    sched_run(&sched, 2);
    assert_string_equal(trace, "aa");
    a.then_yields = false;
    sched_run(&sched, 2);
    assert_string_equal(trace, "aaa");
    assert_true(sched_wait(&sched) == UINT64_MAX);
}

static void a_wake_brings_a_yielded_task_forward(void **state)
{
    (void)state;
    struct actor a;

    actor_init(&a, 'a', RANK_WORK);
    task_yield(&a.task);
    task_yield(&a.task);
    task_wake(&a.task);
    task_yield(&a.task); /* it runs in this turn already */
    sched_run(&sched, 2);
    sched_run(&sched, 3);
    assert_string_equal(trace, "a");
}

static void a_cancelled_task_does_not_run(void **state)
{
    (void)state;
    struct actor a, b, c;
    struct task never_initialized = { 0 };

    actor_init(&a, 'a', RANK_WORK);
    actor_init(&b, 'b', RANK_FLUSH);
    actor_init(&c, 'c', RANK_FLUSH);
    a.then_cancels = &b.task;
    task_wake(&a.task);
    task_wake(&b.task);
    task_yield(&c.task);
    task_cancel(&c.task);
    task_cancel(&c.task);
    task_cancel(&never_initialized);
    sched_run(&sched, 2);
    sched_run(&sched, 3);
    assert_string_equal(trace, "a");
    task_wake(&b.task); /* and may be woken again later */
    sched_run(&sched, 4);
    assert_string_equal(trace, "ab");
}

/* ---- timers ---- */

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t last;
    uint64_t again_after; /* sets itself */
    struct timer *stops;  /* stops another */
    struct task *wakes;
};

static void on_alarm(struct timer *timer)
{
    struct alarm *a = container_of(timer, struct alarm, timer);

    a->fired++;
    a->last = timer->sched->now;
    assert_int_equal(timer->at, 0);
    timer_set(timer, a->again_after);
    if (a->stops)
        timer_stop(a->stops);
    task_wake(a->wakes);
}

static void alarm_init(struct alarm *a)
{
    *a = (struct alarm){ 0 };
    timer_init(&a->timer, &sched, on_alarm);
}

static void a_timer_fires_once_and_not_early(void **state)
{
    (void)state;
    struct alarm a;

    alarm_init(&a);
    timer_set(&a.timer, 10);
    assert_int_equal(a.timer.at, 11);
    assert_int_equal(sched_wait(&sched), 10);
    sched_run(&sched, 10);
    assert_int_equal(a.fired, 0);
    assert_int_equal(sched_wait(&sched), 1);
    sched_run(&sched, 11);
    assert_int_equal(a.fired, 1);
    sched_run(&sched, 1000);
    assert_int_equal(a.fired, 1);
    assert_true(sched_wait(&sched) == UINT64_MAX);
}

static void a_timer_moved_later_fires_at_the_later_time(void **state)
{
    (void)state;
    struct alarm a;

    alarm_init(&a);
    timer_set_at(&a.timer, 10);
    timer_set_at(&a.timer, 30);
    sched_run(&sched, 15);
    assert_int_equal(a.fired, 0);
    timer_set_at(&a.timer, 40);
    sched_run(&sched, 39);
    assert_int_equal(a.fired, 0);
    sched_run(&sched, 40);
    assert_int_equal(a.fired, 1);
}

static void a_timer_moved_earlier_fires_at_the_earlier_time(void **state)
{
    (void)state;
    struct alarm a;

    alarm_init(&a);
    timer_set_at(&a.timer, 100);
    timer_set_at(&a.timer, 10);
    assert_int_equal(sched_wait(&sched), 9);
    sched_run(&sched, 10);
    assert_int_equal(a.fired, 1);
    sched_run(&sched, 100);
    assert_int_equal(a.fired, 1);
    timer_set_at(&a.timer, 200); /* later, then back to where the heap had it */
    timer_set_at(&a.timer, 300);
    timer_set_at(&a.timer, 250);
    sched_run(&sched, 250);
    assert_int_equal(a.fired, 2);
}

static void zero_stops_a_timer(void **state)
{
    (void)state;
    struct alarm a;

    alarm_init(&a);
    timer_set(&a.timer, 10);
    timer_set(&a.timer, 0);
    sched_run(&sched, 20);
    assert_int_equal(a.fired, 0);
    /* stopped, but still in the heap, and set again before its old time */
    timer_set(&a.timer, 10);
    timer_set(&a.timer, 0);
    timer_set(&a.timer, 5);
    sched_run(&sched, 25);
    assert_int_equal(a.fired, 1);
    timer_stop(&a.timer);
    timer_stop(&a.timer);
}

static void a_timer_may_set_itself_and_stop_others(void **state)
{
    (void)state;
    struct alarm a, b;

    alarm_init(&a);
    alarm_init(&b);
    a.again_after = 5;
    a.stops = &b.timer;
    timer_set_at(&a.timer, 10);
    timer_set_at(&b.timer, 10);
    sched_run(&sched, 10);
    assert_int_equal(a.fired + b.fired, b.fired ? 2 : 1);
    assert_int_equal(a.fired, 1);
    sched_run(&sched, 14);
    assert_int_equal(a.fired, 1);
    sched_run(&sched, 100); /* late: it fires once, and its next time counts from now */
    assert_int_equal(a.fired, 2);
    assert_int_equal(a.timer.at, 105);
    a.stops = &a.timer;
    sched_run(&sched, 105);
    sched_run(&sched, 500);
    assert_int_equal(a.fired, 3);
}

static void timers_fire_before_the_tasks_of_their_turn(void **state)
{
    (void)state;
    struct alarm a;
    struct actor b;

    alarm_init(&a);
    actor_init(&b, 'b', RANK_READ);
    a.wakes = &b.task;
    timer_set_at(&a.timer, 10);
    sched_run(&sched, 10);
    assert_string_equal(trace, "b");
}

static void a_time_that_has_passed_fires_in_the_next_turn(void **state)
{
    (void)state;
    struct alarm a;

    sched_run(&sched, 50);
    alarm_init(&a);
    timer_set_at(&a.timer, 20);
    assert_int_equal(sched_wait(&sched), 0);
    sched_run(&sched, 50);
    assert_int_equal(a.fired, 1);
}

static void wait_time_is_zero_while_a_task_is_ready(void **state)
{
    (void)state;
    struct actor a;

    actor_init(&a, 'a', RANK_FLUSH);
    assert_true(sched_wait(&sched) == UINT64_MAX);
    task_wake(&a.task);
    assert_int_equal(sched_wait(&sched), 0);
    sched_run(&sched, 2);
    assert_true(sched_wait(&sched) == UINT64_MAX);
}

#define ALARMS 3000

/* Timers are set, moved, stopped and left to fire in random order, and compared with a
 * model. */
static void thousands_of_timers_agree_with_a_model(void **state)
{
    (void)state;
    static struct alarm alarms[ALARMS];
    static uint64_t due[ALARMS];
    static unsigned expected[ALARMS];

    for (size_t i = 0; i < ALARMS; i++) {
        alarm_init(&alarms[i]);
        due[i] = expected[i] = 0;
    }
    for (uint64_t now = 1; now < 400; now++) {
        for (int k = 0; k < 200; k++) {
            size_t i = (size_t)sched_random_below(&sched, ALARMS);
            uint64_t after = sched_random_below(&sched, 60);
            timer_set(&alarms[i].timer, after);
            due[i] = after ? sched.now + after : 0;
            if (sched_random_below(&sched, 10) == 0) {
                timer_stop(&alarms[i].timer);
                due[i] = 0;
            }
        }
        now += sched_random_below(&sched, 3);
        sched_run(&sched, now);
        for (size_t i = 0; i < ALARMS; i++) {
            if (due[i] && due[i] <= now) {
                expected[i]++;
                due[i] = 0;
            }
            if (alarms[i].fired != expected[i])
                fail_msg("timer %zu: fired %u times at %u, expected %u", i,
                         alarms[i].fired, (unsigned)now, expected[i]);
            assert_int_equal(alarms[i].timer.at, due[i]);
        }
    }
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    (void)state;
    static struct alarm alarms[64];
    uint64_t before = 0;

    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        alarm_init(&alarms[i]);
        timer_set(&alarms[i].timer, 1 + sched_random_below(&sched, 500));
    }
    for (uint64_t wait; (wait = sched_wait(&sched)) != UINT64_MAX;) {
        assert_true(wait > 0);
        sched_run(&sched, sched.now + wait);
        assert_true(sched.now > before);
        before = sched.now;
    }
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++)
        assert_int_equal(alarms[i].fired, 1);
}

static void equal_seeds_give_equal_random_numbers(void **state)
{
    (void)state;
    struct sched other;
    bool differs = false;

    sched_init(&other, 1);
    for (int i = 0; i < 100; i++)
        assert_true(sched_random(&sched) == sched_random(&other));
    sched_init(&other, 2);
    for (int i = 0; i < 100; i++)
        differs |= sched_random(&sched) != sched_random(&other);
    assert_true(differs);
    for (int i = 0; i < 1000; i++)
        assert_in_range(sched_random_below(&sched, 7), 0, 6);
    assert_int_equal(sched_random_below(&sched, 1), 0);
}

static unsigned fired;

static void on_fired(struct timer *timer)
{
    (void)timer;
    fired++;
}

/* The process was stopped for a minute: no timer fires before the sockets were polled, and
 * each then has the time left that it had before. */
static void the_clock_does_not_count_a_stop_of_the_process(void **state)
{
    (void)state;
    struct timer t;
    struct actor a;

    actor_init(&a, 'w', RANK_WORK);
    sched.wake = &a.task;
    fired = 0;
    timer_init(&t, &sched, on_fired);
    sched_turn(&sched, 1000, false);
    timer_set(&t, 5000);
    sched_turn(&sched, 3000, true);
    sched_turn(&sched, 63000, true); /* the poll was interrupted and returned no event */
    sched_turn(&sched, 63000, false);
    assert_int_equal(sched_wait(&sched), 0); /* the poll does not block */
    assert_string_equal(trace, "");
    sched_turn(&sched, 63001, true);
    assert_string_equal(trace, "w");
    assert_int_equal(sched.stopped, 60000);
    assert_int_equal(fired, 0);
    assert_int_equal(sched_wait(&sched), 3000);
    sched_turn(&sched, 66000, true);
    assert_int_equal(fired, 0);
    sched_turn(&sched, 66001, true);
    assert_int_equal(fired, 1);
    assert_string_equal(trace, "w");
}

/* Also if a libuv callback notices the stop first. */
static void a_tick_after_a_stop_does_not_move_the_clock(void **state)
{
    (void)state;
    struct timer t;

    fired = 0;
    timer_init(&t, &sched, on_fired);
    sched_turn(&sched, 1000, false);
    timer_set(&t, 5000);
    sched_tick(&sched, 61000);
    assert_int_equal(sched.now, 1000);
    sched_turn(&sched, 61000, true);
    sched_turn(&sched, 65999, true);
    assert_int_equal(fired, 0);
    sched_turn(&sched, 66000, true);
    assert_int_equal(fired, 1);
}

/* A loop that waits for nothing may wait for long. */
static void a_long_wait_without_timers_is_not_taken_for_a_stop(void **state)
{
    (void)state;

    sched_turn(&sched, 1000, false);
    sched_turn(&sched, 100000, true);
    assert_int_equal(sched.now, 100000);
    sched_turn(&sched, 99000, false); /* and the clock does not go back */
    assert_int_equal(sched.now, 100000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(ranks_run_in_order),
        TEST(a_woken_task_of_a_lower_rank_runs_first),
        TEST(several_wakes_cause_one_run),
        TEST(a_task_that_wakes_itself_runs_again_in_the_same_turn),
        TEST(a_task_that_yields_runs_in_the_next_turn),
        TEST(a_wake_brings_a_yielded_task_forward),
        TEST(a_cancelled_task_does_not_run),
        TEST(a_timer_fires_once_and_not_early),
        TEST(a_timer_moved_later_fires_at_the_later_time),
        TEST(a_timer_moved_earlier_fires_at_the_earlier_time),
        TEST(zero_stops_a_timer),
        TEST(a_timer_may_set_itself_and_stop_others),
        TEST(timers_fire_before_the_tasks_of_their_turn),
        TEST(a_time_that_has_passed_fires_in_the_next_turn),
        TEST(wait_time_is_zero_while_a_task_is_ready),
        TEST(thousands_of_timers_agree_with_a_model),
        TEST(timers_fire_in_the_order_of_their_times),
        TEST(equal_seeds_give_equal_random_numbers),
        TEST(the_clock_does_not_count_a_stop_of_the_process),
        TEST(a_tick_after_a_stop_does_not_move_the_clock),
        TEST(a_long_wait_without_timers_is_not_taken_for_a_stop),
    };
    return cmocka_run_group_tests_name("base/sched", tests, NULL, NULL);
}
