/* tests/unit/relay/relay_test.c - bytes in both directions, and every way to end */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/relay.h"

#include "base/own.h"

struct scene {
    struct sched sched;
    struct chunk_pool pool;
    struct task task; /* the owner's */
    struct relay relay;
    struct stream *client, *pod;         /* the relay's ends */
    struct stream *far_client, *far_pod; /* the test's */
};

static void on_wake(struct task *t)
{
    relay_run(&container_of(t, struct scene, task)->relay);
}

static int begin(void **state, bool half_close)
{
    struct scene *s = xcalloc(1, sizeof(*s));

    sched_init(&s->sched, 1);
    chunk_pool_init(&s->pool, 4);
    task_init(&s->task, &s->sched, RANK_WORK, on_wake);
    struct stream_pair up = mem_stream_pair(&s->sched, &s->pool, 1000);
    struct stream_pair down = mem_stream_pair(&s->sched, &s->pool, 1000);
    s->client = up.a;
    s->far_client = up.b;
    s->pod = down.a;
    s->far_pod = down.b;
    s->client->wake = s->pod->wake = &s->task;
    relay_start(&s->relay, s->client, s->pod, half_close, &s->task);
    *state = s;
    return 0;
}

static int setup(void **state)
{
    return begin(state, false);
}

static int setup_half_close(void **state)
{
    return begin(state, true);
}

static int teardown(void **state)
{
    struct scene *s = *state;

    relay_finish(&s->relay);
    task_cancel(&s->task);
    stream_close(s->client);
    stream_close(s->pod);
    stream_close(s->far_client);
    stream_close(s->far_pod);
    task_cancel(&s->task);
    chunk_pool_finish(&s->pool);
    sched_finish(&s->sched);
    free(s);
    return 0;
}

static void pass(struct scene *s, uint64_t ms)
{
    sched_run(&s->sched, s->sched.now + ms);
}

static void write_text(struct scene *s, struct stream *to, const char *text)
{
    assert_true(bufq_put(&to->out, text, strlen(text)));
    stream_update(to);
    pass(s, 0);
}

static void assert_received(struct scene *s, struct stream *at, const char *text)
{
    char received[1001] = "";

    bufq_read(&at->in, received, 1000);
    stream_update(at);
    pass(s, 0);
    assert_string_equal(received, text);
}

static void hang_up(struct scene *s, struct stream *at)
{
    stream_shutdown(at);
    pass(s, 0);
}

static void carries_bytes_both_ways(void **state)
{
    struct scene *s = *state;

    write_text(s, s->far_client, "ping");
    assert_received(s, s->far_pod, "ping");
    write_text(s, s->far_pod, "pong!");
    assert_received(s, s->far_client, "pong!");
    assert_int_equal(s->relay.up, 4);
    assert_int_equal(s->relay.down, 5);
    assert_false(relay_done(&s->relay));
}

static void the_eof_of_the_client_is_held_back_while_the_pod_sends(void **state)
{
    struct scene *s = *state;

    write_text(s, s->far_client, "last");
    hang_up(s, s->far_client);
    assert_received(s, s->far_pod, "last");
    for (int i = 0; i < 10; i++) {
        pass(s, 29000);
        assert_false(s->far_pod->in_eof);
        write_text(s, s->far_pod, "more");
        assert_received(s, s->far_client, "more");
    }
    hang_up(s, s->far_pod);
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
    assert_true(s->far_client->in_eof);
}

static void a_silent_pod_is_closed_after_the_eof_of_the_client(void **state)
{
    struct scene *s = *state;

    hang_up(s, s->far_client);
    pass(s, 29999);
    assert_false(s->far_pod->in_eof);
    pass(s, 1);
    assert_true(s->far_pod->in_eof);
    assert_false(relay_done(&s->relay));
    pass(s, 2000);
    assert_true(relay_done(&s->relay));
    assert_false(relay_clean(&s->relay));
}

static void option_half_close_passes_eof_on_at_once(void **state)
{
    struct scene *s = *state;

    hang_up(s, s->far_client);
    assert_true(s->far_pod->in_eof);
    pass(s, 3600000);
    write_text(s, s->far_pod, "at last");
    hang_up(s, s->far_pod);
    assert_received(s, s->far_client, "at last");
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
}

static void the_client_gets_the_eof_of_the_pod(void **state)
{
    struct scene *s = *state;

    write_text(s, s->far_pod, "bye");
    hang_up(s, s->far_pod);
    assert_true(s->far_client->in_eof);
    assert_received(s, s->far_client, "bye");
    write_text(s, s->far_client, "what?");
    assert_false(relay_done(&s->relay));
    hang_up(s, s->far_client);
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
}

static void
a_client_that_goes_on_after_the_eof_of_the_pod_is_closed_after_a_time(void **state)
{
    struct scene *s = *state;

    hang_up(s, s->far_pod);
    pass(s, 1999);
    assert_false(relay_done(&s->relay));
    pass(s, 1);
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
}

/* A direct connection to a pod, whose directions end separately. */
static struct scene *begin_half_closing(void **state)
{
    static struct stream_ops ops;

    begin(state, false);
    struct scene *s = *state;
    relay_finish(&s->relay);
    ops = *s->pod->ops;
    ops.half_close = true;
    s->pod->ops = &ops;
    relay_start(&s->relay, s->client, s->pod, false, &s->task);
    return s;
}

static void the_eof_of_the_client_is_passed_on_at_once_over_tcp(void **state)
{
    struct scene *s = begin_half_closing(state);

    write_text(s, s->far_client, "last");
    hang_up(s, s->far_client);
    assert_received(s, s->far_pod, "last");
    assert_true(s->far_pod->in_eof);
    pass(s, 3600000);
    assert_false(relay_done(&s->relay));
    write_text(s, s->far_pod, "at last");
    hang_up(s, s->far_pod);
    assert_received(s, s->far_client, "at last");
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
    teardown(state);
}

static void bytes_reach_the_pod_after_its_own_eof_over_tcp(void **state)
{
    struct scene *s = begin_half_closing(state);

    write_text(s, s->far_pod, "bye");
    hang_up(s, s->far_pod);
    assert_received(s, s->far_client, "bye");
    assert_true(s->far_client->in_eof);
    pass(s, 3600000);
    assert_false(relay_done(&s->relay));
    write_text(s, s->far_client, "one more thing");
    assert_received(s, s->far_pod, "one more thing");
    hang_up(s, s->far_client);
    assert_true(s->far_pod->in_eof);
    assert_true(relay_done(&s->relay));
    assert_true(relay_clean(&s->relay));
    teardown(state);
}

/* Received bytes are delivered, but a truncated stream must not end in order. */
static void a_cut_stream_is_never_ended_cleanly(void **state)
{
    static const enum verdict verdicts[] = { V_REFUSED, V_RESET, V_TRANSPORT_LOST,
                                             V_TARGET_GONE };

    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        begin(state, false);
        struct scene *s = *state;
        bufq_write(&s->pod->in, "half", 4);
        stream_end(s->pod, verdicts[i], NULL);
        pass(s, 0);
        assert_received(s, s->far_client, "half");
        assert_true(relay_done(&s->relay));
        assert_false(relay_clean(&s->relay));
        assert_false(s->far_client->in_eof);
        teardown(state);
    }
}

static void is_done_when_the_client_breaks(void **state)
{
    struct scene *s = *state;

    write_text(s, s->far_pod, "unread");
    stream_end(s->client, V_RESET, NULL);
    pass(s, 0);
    assert_true(relay_done(&s->relay));
    assert_false(relay_clean(&s->relay));
}

/* However much one side writes, only four queues hold bytes. */
static void stops_the_writer_when_the_reader_stops(void **state)
{
    struct scene *s = *state;
    char block[100] = { 0 };
    size_t taken = 0;

    for (int i = 0; i < 1000; i++) {
        taken += bufq_write(&s->far_client->out, block, sizeof(block));
        stream_update(s->far_client);
        pass(s, 0);
    }
    assert_int_equal(taken, 4000);
}

static void reading_stops_while_the_other_side_is_stuck(void **state)
{
    struct scene *s = *state;

    s->client->stuck = true;
    task_wake(&s->task);
    pass(s, 0);
    assert_true(s->pod->paused && !s->client->paused);
    s->client->stuck = false;
    s->pod->stuck = true;
    task_wake(&s->task);
    pass(s, 0);
    assert_true(s->client->paused && !s->pod->paused);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_bytes_both_ways),
        TEST(the_eof_of_the_client_is_held_back_while_the_pod_sends),
        TEST(a_silent_pod_is_closed_after_the_eof_of_the_client),
        cmocka_unit_test_setup_teardown(option_half_close_passes_eof_on_at_once,
                                        setup_half_close, teardown),
        TEST(the_client_gets_the_eof_of_the_pod),
        TEST(a_client_that_goes_on_after_the_eof_of_the_pod_is_closed_after_a_time),
        cmocka_unit_test(a_cut_stream_is_never_ended_cleanly),
        cmocka_unit_test(the_eof_of_the_client_is_passed_on_at_once_over_tcp),
        cmocka_unit_test(bytes_reach_the_pod_after_its_own_eof_over_tcp),
        TEST(is_done_when_the_client_breaks),
        TEST(stops_the_writer_when_the_reader_stops),
        TEST(reading_stops_while_the_other_side_is_stuck),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
