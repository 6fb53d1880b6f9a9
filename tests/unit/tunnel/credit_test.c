/* tests/unit/tunnel/credit_test.c - credit of workers, compared with a model of the
 * runtime */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tunnel/credit.h"

static void send(struct credit *c, unsigned worker, unsigned frames, uint32_t bytes)
{
    for (unsigned i = 0; i < frames; i++)
        credit_on_data(c, worker, bytes);
}

static void send_pings(struct credit *c)
{
    for (int i = 0; i < CREDIT_WORKERS; i++)
        credit_on_ping(c);
}

static void a_pair_is_ahead_of_its_worker_by_a_bounded_number_of_frames(void **state)
{
    (void)state;
    struct credit c = { 0 };

    for (unsigned i = 0; i < CREDIT_FRAMES; i++) {
        assert_true(credit_allows(&c, 2));
        credit_on_data(&c, 2, 1);
    }
    assert_false(credit_allows(&c, 2));
    assert_true(credit_allows(&c, 3));
}

static void an_answered_ping_proves_what_was_sent_before_it(void **state)
{
    (void)state;
    struct credit c = { 0 };

    send(&c, 0, 20, 1000);
    send_pings(&c);
    send(&c, 0, 4, 1000);
    assert_false(credit_allows(&c, 0));
    credit_on_pong(&c, 0); /* worker 0 has taken 20 */
    assert_true(credit_allows(&c, 0));
    send(&c, 0, 20, 1000);
    assert_false(credit_allows(&c, 0));
}

static void a_ping_of_another_worker_proves_nothing(void **state)
{
    (void)state;
    struct credit c = { 0 };

    send(&c, 0, CREDIT_FRAMES, 1000);
    send_pings(&c);
    for (uint32_t n = 1; n < CREDIT_WORKERS; n++)
        credit_on_pong(&c, n);
    assert_false(credit_allows(&c, 0));
}

static void a_ping_is_due_after_some_frames_or_some_bytes(void **state)
{
    (void)state;
    struct credit c = { 0 };

    send(&c, 1, CREDIT_PING_FRAMES - 1, 1);
    assert_false(credit_wants_pings(&c, 1));
    send(&c, 1, 1, 1);
    assert_true(credit_wants_pings(&c, 1));
    send_pings(&c);
    assert_false(credit_wants_pings(&c, 1));
    send(&c, 1, 1, CREDIT_PING_BYTES);
    assert_true(credit_wants_pings(&c, 1));
}

/* Requests and answers need no PING at all, until they add up to something. */
static void small_exchanges_need_no_ping_until_they_add_up(void **state)
{
    (void)state;
    struct credit c = { 0 };
    unsigned exchanges = 0;

    while (!credit_wants_pings(&c, 4)) {
        send(&c, 4, 1, 200);
        credit_on_answer(&c, 4);
        assert_true(credit_allows(&c, 4));
        exchanges++;
    }
    assert_true(exchanges >= CREDIT_PROVEN_BYTES / 200);
}

static void
a_worker_that_never_answers_blinds_the_tunnel_and_stops_itself_only(void **state)
{
    (void)state;
    struct credit c = { 0 };

    for (unsigned round = 0; round < CREDIT_ROUNDS; round++) {
        assert_false(credit_has_stuck_worker(&c));
        send_pings(&c);
        for (uint32_t n = 0; n < CREDIT_WORKERS; n++)
            if (n != 3)
                credit_on_pong(&c, round * CREDIT_WORKERS + n);
    }
    assert_true(credit_has_stuck_worker(&c));
    send(&c, 3, CREDIT_FRAMES, 1);
    assert_false(credit_allows(&c, 3));
    unsigned frames = 0;
    for (; c.workers[3].pings + CREDIT_FRAMES < CREDIT_QUEUE; frames++) {
        /* credit counts while there are neighbours ... */
        assert_true(credit_allows(&c, 0));
        send(&c, 0, 1, 16000);
        if (!credit_wants_pings(&c, 0))
            continue;
        uint32_t first = c.pings;
        send_pings(&c);
        for (uint32_t n = 0; n < CREDIT_WORKERS; n++)
            if (n != 3)
                credit_on_pong(&c, first + n);
    }
    assert_true(frames >= (CREDIT_QUEUE - CREDIT_FRAMES - CREDIT_ROUNDS) * CREDIT_FRAMES);
    send(&c, 0, 1000, 16000); /* ... and is not needed without them */
    assert_true(credit_allows(&c, 0));
    assert_false(credit_wants_pings(&c, 0));

    for (uint32_t n = 3; n < c.pings; n += CREDIT_WORKERS)
        credit_on_pong(&c, n); /* it runs again */
    assert_false(credit_has_stuck_worker(&c));
    send(&c, 0, CREDIT_PING_FRAMES, 1000);
    assert_true(credit_allows(&c, 0)); /* frames that were not counted use no credit */
    assert_true(credit_wants_pings(&c, 0));
}

/* All late answers of the worker are matched to their PINGs. */
static void late_pongs_of_a_stuck_worker_restore_its_credit(void **state)
{
    (void)state;

    for (unsigned behind = 0; behind <= CREDIT_FRAMES; behind += 8) {
        struct credit c = { 0 };
        send(&c, 0, behind, 1000);
        for (unsigned i = 0; i < 2000; i++) { /* a neighbour uploads */
            if (credit_allows(&c, 2))
                send(&c, 2, 1, 32768);
            if (!credit_wants_pings(&c, 2))
                continue;
            send_pings(&c);
            for (uint32_t n = 1; n < CREDIT_WORKERS; n++)
                credit_on_pong(&c, c.pings - CREDIT_WORKERS + n);
        }
        assert_true(credit_has_stuck_worker(&c));
        for (uint32_t n = 0; n < c.pings; n += CREDIT_WORKERS)
            credit_on_pong(&c, n);
        assert_int_equal(c.workers[0].pings, 0);
        assert_false(credit_has_stuck_worker(&c));
        assert_true(credit_allows(&c, 0));
    }
}

static void an_unexpected_pong_is_ignored(void **state)
{
    (void)state;
    struct credit c = { 0 }, before;

    send(&c, 0, 5, 10);
    before = c;
    credit_on_pong(&c, 0);
    credit_on_pong(&c, 4000000000u);
    assert_memory_equal(&c, &before, sizeof(c));
}

/* A model of the runtime: queues of 50 frames, and some workers that are stuck for ever.
 * No queue may overflow, and a worker that is not stuck is never stopped for long. */
static void no_worker_queue_overflows_in_random_runs(void **state)
{
    (void)state;
    struct credit c = { 0 };
    struct {
        int ping[64]; /* number, or -1 for data */
        unsigned first, count;
    } queues[CREDIT_WORKERS];
    uint32_t seed = 7, sent[CREDIT_WORKERS] = { 0 };

    memset(queues, 0, sizeof(queues));
    for (unsigned step = 0; step < 400000; step++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned w = seed >> 8 & 7;
        if (w >= CREDIT_WORKERS)
            continue;
        bool take = seed >> 16 & 1;
        bool stuck = w == 2 && step > 1000;
        if (take && queues[w].count && !stuck) {
            int n = queues[w].ping[queues[w].first++ % 64];
            queues[w].count--;
            if (n >= 0)
                credit_on_pong(&c, (uint32_t)n);
        } else if (!take && credit_allows(&c, w) &&
                   !(credit_has_stuck_worker(&c) && w != 2)) {
            queues[w].ping[(queues[w].first + queues[w].count++) % 64] = -1;
            credit_on_data(&c, w, 100 + (seed >> 20));
            sent[w]++;
            for (unsigned i = 0; credit_wants_pings(&c, w) && i < 1; i++)
                for (unsigned k = 0; k < CREDIT_WORKERS; k++) {
                    unsigned to = c.pings % CREDIT_WORKERS;
                    queues[to].ping[(queues[to].first + queues[to].count++) % 64] =
                        (int)c.pings;
                    credit_on_ping(&c);
                }
        }
        for (unsigned i = 0; i < CREDIT_WORKERS; i++)
            assert_true(queues[i].count < 50);
    }
    for (unsigned i = 0; i < CREDIT_WORKERS; i++)
        assert_true(sent[i] > 20);
}

/* Uploads into a container that never reads: its sockets accept some megabytes of each,
 * then their workers stop one after the other.  After the first has stopped, PINGs are
 * answered late while the others still run. */
static void uploads_that_stop_one_after_the_other_do_not_stop_the_tunnel(void **state)
{
    (void)state;
    struct credit c = { 0 };
    static const unsigned absorbed[CREDIT_WORKERS] = { 140, 150, 160, 200, 0 };
    unsigned taken[CREDIT_WORKERS] = { 0 }, queued[CREDIT_WORKERS] = { 0 };
    unsigned pings[CREDIT_WORKERS] = { 0 };

    for (unsigned step = 0; step < 20000; step++) {
        unsigned w = step % (CREDIT_WORKERS - 1);
        bool runs = taken[w] < absorbed[w];
        if (credit_allows(&c, w)) {
            credit_on_data(&c, w, 32768);
            queued[w]++;
        }
        if (credit_wants_pings(&c, w)) {
            send_pings(&c);
            for (unsigned i = 0; i < CREDIT_WORKERS; i++)
                pings[i]++;
        }
        for (; runs && queued[w] > 0 && taken[w] < absorbed[w]; queued[w]--)
            taken[w]++;
        for (unsigned i = 0; i < CREDIT_WORKERS; i++)
            for (; queued[i] == 0 && pings[i] > 0; pings[i]--)
                credit_on_pong(&c, c.pings - pings[i] * CREDIT_WORKERS + i);
        assert_true(queued[w] + pings[w] < 50);
    }
    for (unsigned w = 0; w < CREDIT_WORKERS - 1; w++)
        /* no worker was stopped because of another */
        assert_int_equal(taken[w], absorbed[w]);
    credit_on_data(&c, 4, 200);
    assert_true(credit_allows(&c, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_ahead_of_its_worker_by_a_bounded_number_of_frames),
        cmocka_unit_test(an_answered_ping_proves_what_was_sent_before_it),
        cmocka_unit_test(a_ping_of_another_worker_proves_nothing),
        cmocka_unit_test(a_ping_is_due_after_some_frames_or_some_bytes),
        cmocka_unit_test(small_exchanges_need_no_ping_until_they_add_up),
        cmocka_unit_test(
            a_worker_that_never_answers_blinds_the_tunnel_and_stops_itself_only),
        cmocka_unit_test(late_pongs_of_a_stuck_worker_restore_its_credit),
        cmocka_unit_test(an_unexpected_pong_is_ignored),
        cmocka_unit_test(no_worker_queue_overflows_in_random_runs),
        cmocka_unit_test(uploads_that_stop_one_after_the_other_do_not_stop_the_tunnel),
    };
    return cmocka_run_group_tests_name("tunnel/credit", tests, NULL, NULL);
}
