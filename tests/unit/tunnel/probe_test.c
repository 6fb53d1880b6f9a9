/* tests/unit/tunnel/probe_test.c - worker slots, and the probe that frees them
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tunnel/probe.h"
#include "wire/spdy.h"

static struct chunk_pool pool;
static struct sched sched;
static struct stream_pair ends;
static struct pings pings;
static struct worker_slots slots;
static struct probe probe;
static unsigned late, gathered;

static void on_deadline(struct timer *t)
{
    (void)t;
    late++;
}

static void on_gathered(struct timer *t)
{
    (void)t;
    gathered++;
}

static int begin(void **state)
{
    (void)state;
    chunk_pool_init(&pool, 4);
    sched_init(&sched, 1);
    sched_run(&sched, 1000);
    ends = mem_stream_pair(&sched, &pool, 1024);
    pings_init(&pings);
    pings.transport = ends.a;
    slots = (struct worker_slots){ 0 };
    probe_init(&probe, &pings, &slots, &sched, on_deadline, on_gathered);
    late = gathered = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    probe_finish(&probe);
    stream_close(ends.a);
    stream_close(ends.b);
    sched_run(&sched, sched.now);
    sched_finish(&sched);
    chunk_pool_finish(&pool);
    return 0;
}

static void slot_is_free_again_only_after_all_five_pongs(void **state)
{
    (void)state;
    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, false);
    assert_int_equal(slots.state[1], SLOT_SPENT);
    assert_true(probe_start(&probe));
    assert_int_equal(slots.state[1], SLOT_PROBED);
    assert_int_equal(pings.unanswered, WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_false(probe_is_answered(&probe));
        assert_true(slots_is_unproven(&slots, 11));
        probe_on_pong(&probe, probe.first + 2 * i);
    }
    assert_true(probe_is_answered(&probe));
    assert_int_equal(slots.state[1], SLOT_FREE);
    assert_false(slots_is_unproven(&slots, 11));
    assert_int_equal(probe.deadline.at, 0);
}

static void pongs_of_other_pings_do_not_count(void **state)
{
    (void)state;
    uint32_t before;

    assert_true(pings_send(&pings, &before));
    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, false);
    assert_true(probe_start(&probe));
    for (uint32_t i = 0; i < WORKERS; i++) {
        probe_on_pong(&probe, before);
        probe_on_pong(&probe, probe.first + 2 * WORKERS);
    }
    assert_false(probe_is_answered(&probe));
    assert_int_equal(slots.state[1], SLOT_PROBED);
}

static void slot_that_was_spent_during_a_probe_waits_for_the_next(void **state)
{
    (void)state;
    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, false);
    assert_true(probe_start(&probe));
    slots_take(&slots, 13);
    slots_on_fin(&slots, 13, false);
    for (uint32_t i = 0; i < WORKERS; i++)
        probe_on_pong(&probe, probe.first + 2 * i);
    assert_true(probe_is_answered(&probe));
    assert_int_equal(slots.state[1], SLOT_FREE);
    assert_int_equal(slots.state[3], SLOT_SPENT);
}

static void missing_pong_makes_the_probed_slots_dead(void **state)
{
    (void)state;
    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, false);
    assert_true(probe_start(&probe));
    sched_run(&sched, sched.now + PROBE_MS - 1);
    assert_int_equal(late, 0);
    sched_run(&sched, sched.now + 1);
    assert_int_equal(late, 1);
    probe_fail(&probe);
    assert_int_equal(slots_count(&slots, SLOT_DEAD), 1);
    assert_int_equal(slots_count(&slots, SLOT_FREE), WORKERS - 1);
}

static void probe_needs_room_for_five_pings(void **state)
{
    (void)state;
    static const uint8_t zeros[1024];

    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, false);
    bufq_write(&ends.a->out, zeros, 1024 - WORKERS * SPDY_PING_SIZE + 1);
    assert_false(probe_start(&probe));
    assert_int_equal(probe.first, 0);
    assert_int_equal(slots.state[1], SLOT_SPENT);
    assert_int_equal(pings.unanswered, 0);
}

/* Only an end that is not clean, before the proof, may have stopped the worker. */
static void verdict_kills_a_slot_only_before_the_proof(void **state)
{
    (void)state;
    slots_take(&slots, 11);
    slots_on_verdict(&slots, 11, true);
    assert_int_equal(slots.state[1], SLOT_BUSY);
    slots_on_verdict(&slots, 11, false);
    assert_int_equal(slots.state[1], SLOT_DEAD);

    slots_take(&slots, 13);
    slots_change_state(&slots, SLOT_BUSY, SLOT_FREE);
    slots_on_verdict(&slots, 13, false);
    assert_int_equal(slots.state[3], SLOT_FREE);
    slots_take(&slots, 23); /* the same worker, another pair */
    slots_on_verdict(&slots, 13, false);
    assert_int_equal(slots.state[3], SLOT_BUSY);
}

static void free_slot_is_found_from_the_next_id_on(void **state)
{
    (void)state;
    assert_int_equal(slots_find_free(&slots, 1), 1);
    assert_int_equal(slots_find_free(&slots, 13), 3);
    for (uint32_t id = 1; id < 2 * WORKERS; id += 2)
        slots_take(&slots, id);
    assert_int_equal(slots_find_free(&slots, 1), -1);
    slots_change_state(&slots, SLOT_BUSY, SLOT_SPENT);
    assert_int_equal(slots_find_free(&slots, 1), -1);
    slots.state[4] = SLOT_FREE;
    for (uint32_t id = 1; id < 2 * WORKERS; id += 2)
        assert_int_equal(slots_find_free(&slots, id), 4);
}

static void slots_are_gathered_for_20_ms(void **state)
{
    (void)state;
    probe_gather(&probe);
    sched_run(&sched, sched.now + PROBE_GATHER_MS - 1);
    probe_gather(&probe); /* does not begin anew */
    assert_int_equal(gathered, 0);
    sched_run(&sched, sched.now + 1);
    assert_int_equal(gathered, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* Only a probe ends it, not the verdict. */
static void an_overrun_lasts_until_a_probe_is_answered(void **state)
{
    (void)state;
    slots_take(&slots, 11);
    slots_on_fin(&slots, 11, true);
    assert_true(slots_may_block(&slots));
    slots_on_verdict(&slots, 11, true);
    assert_true(slots_may_block(&slots));
    assert_true(probe_start(&probe));
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_true(slots_may_block(&slots));
        probe_on_pong(&probe, probe.first + 2 * i);
    }
    assert_true(probe_is_answered(&probe));
    assert_false(slots_may_block(&slots));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(slot_is_free_again_only_after_all_five_pongs),
        TEST(pongs_of_other_pings_do_not_count),
        TEST(slot_that_was_spent_during_a_probe_waits_for_the_next),
        TEST(missing_pong_makes_the_probed_slots_dead),
        TEST(an_overrun_lasts_until_a_probe_is_answered),
        TEST(probe_needs_room_for_five_pings),
        TEST(verdict_kills_a_slot_only_before_the_proof),
        TEST(free_slot_is_found_from_the_next_id_on),
        TEST(slots_are_gathered_for_20_ms),
    };
    return cmocka_run_group_tests_name("tunnel/probe", tests, NULL, NULL);
}
