/* tests/session/raw_test.c - raw connections: every event in every state
 *
 * Events are: the client ends or breaks, the pod ends in each way, time passes.  Each
 * happens in each state, also two in each order.  Afterwards leases are returned, no
 * buffer is left, and a connection that was cut does not end in order.
 */
#include "stage.h"

#include <stdio.h>

/* The state a connection is brought to before an event. */
enum place {
    LEASING,
    LEASING_AND_SAID, /* the client sent bytes before there was a pod */
    SILENT,           /* TALK: no byte was sent */
    SAID,             /* ... bytes were sent by the client */
    SAID_TOO_MUCH,    /* ... more bytes than are kept for a retry */
    RELAYING,
    HALF_CLOSED, /* RELAY: the client has sent its FIN, and waits */
    PLACES
};

static const struct {
    bool pending; /* the lease is pending */
    const char *client, *pod;
    bool ends; /* the client has ended its input */
} places[PLACES] = {
    [LEASING] = { true, NULL, NULL, false },
    [LEASING_AND_SAID] = { true, "hello\n", NULL, false },
    [SILENT] = { false, NULL, NULL, false },
    [SAID] = { false, "hello\n", NULL, false },
    [SAID_TOO_MUCH] = { false, "hello\n", NULL, false },
    [RELAYING] = { false, "hello\n", "half", false },
    [HALF_CLOSED] = { false, "hello\n", "half", true },
};

enum event {
    CLIENT_ENDS,
    CLIENT_BREAKS,
    CLIENT_SPEAKS,
    POD_SPEAKS,
    POD_ENDS,
    POD_REFUSED,
    POD_RESET,
    POD_LOST,
    POD_GONE,
    LEASE_OK,
    LEASE_FAILS,
    TIME_PASSES,
    DRAIN,
    EVENTS
};

static const enum verdict verdicts[EVENTS] = {
    [POD_ENDS] = V_CLEAN,          [POD_REFUSED] = V_REFUSED,  [POD_RESET] = V_RESET,
    [POD_LOST] = V_TRANSPORT_LOST, [POD_GONE] = V_TARGET_GONE,
};

static void bring(struct stage *st, enum place place, struct stream **ret_client)
{
    st->script[0].result = places[place].pending ? ERR_AGAIN : OK;
    if (place == SAID_TOO_MUCH)
        st->config->replay_buffer = 3;
    *ret_client = stage_raw_client(st);
    if (places[place].client)
        stage_write(st, *ret_client, places[place].client);
    if (places[place].pod)
        stage_write(st, pod(st, 0), places[place].pod);
    if (places[place].ends)
        hang_up(st, *ret_client);
}

static struct leased *last_lease(struct stage *st)
{
    return &st->leases[st->lease_count - 1];
}

static bool speaks(const struct stream *s)
{
    return s && !s->shut && !s->broken;
}

static void happen(struct stage *st, enum event event, struct stream **client)
{
    struct leased *l = last_lease(st);
    bool asked = l->lease && l->outcome.result == ERR_AGAIN;

    if (event == CLIENT_ENDS && *client)
        hang_up(st, *client);
    else if (event == CLIENT_BREAKS && *client)
        drop(st, client);
    else if (event == CLIENT_SPEAKS && speaks(*client))
        stage_write(st, *client, "more!");
    else if (event == POD_SPEAKS && l->ours && speaks(l->pod))
        stage_write(st, l->pod, "answer");
    else if (verdicts[event] && l->ours)
        pod_ends(st, st->lease_count - 1, verdicts[event], NULL);
    else if (event == LEASE_OK && asked)
        stage_deliver(st, st->lease_count - 1, &(struct outcome){ .result = OK });
    else if (event == LEASE_FAILS && asked)
        stage_deliver(st, st->lease_count - 1,
                      &(struct outcome){ .result = ERR_UNAVAILABLE });
    else if (event == TIME_PASSES)
        stage_pass(st, 200000);
    else if (event == DRAIN)
        serve_drain(stage_serve(st), &st->drained);
    stage_run(st);
}

/* Asserts that an orderly end means complete bytes. */
static void check_honesty(struct stage *st, const struct stream *client)
{
    const struct leased *l = last_lease(st);

    if (!client || client->end.verdict != V_CLEAN)
        return;
    assert_int_equal(l->ours ? l->ours->end.verdict : l->end, V_CLEAN);
}

static void play(void **state, enum place place, enum event first, enum event second)
{
    stage_setup(state);
    struct stage *st = *state;
    struct stream *client;

    bring(st, place, &client);
    happen(st, first, &client);
    check_honesty(st, client);
    happen(st, second, &client);
    check_honesty(st, client);
    stage_drain(st);
    if (!serve_idle(st->serve))
        fail_msg("place %d, events %d and %d: a connection is left", (int)place,
                 (int)first, (int)second);
    assert_true(st->drained_count > 0);
    check_honesty(st, client);
    stage_teardown(state);
}

static void any_two_events_in_any_state_are_handled(void **state)
{
    for (int place = 0; place < PLACES; place++)
        for (int first = 0; first < EVENTS; first++)
            for (int second = 0; second < EVENTS; second++)
                play(state, (enum place)place, (enum event)first, (enum event)second);
}

/* The effect of one event in one state: what the client receives, how its connection
 * ends, and how many leases there were. */
static const struct {
    enum place place;
    enum event event;
    const char *expected;
    enum verdict end;
    size_t leases;
} seen[] = {
    { LEASING, CLIENT_ENDS, "", V_OPEN, 1 },
    { LEASING, LEASE_OK, "", V_OPEN, 1 },
    { LEASING, LEASE_FAILS, "", V_RESET, 1 },
    { LEASING, TIME_PASSES, "", V_OPEN, 1 },
    { LEASING_AND_SAID, LEASE_OK, "", V_OPEN, 1 },
    { SILENT, CLIENT_ENDS, "", V_OPEN, 1 },
    { SILENT, POD_SPEAKS, "answer", V_OPEN, 1 },
    { SILENT, POD_ENDS, "", V_CLEAN, 1 },
    { SILENT, POD_REFUSED, "", V_OPEN, 2 },
    { SILENT, POD_GONE, "", V_OPEN, 2 },
    { SILENT, POD_RESET, "", V_RESET, 1 },
    { SILENT, POD_LOST, "", V_RESET, 1 },
    { SILENT, TIME_PASSES, "", V_OPEN, 1 },
    { SILENT, DRAIN, "", V_OPEN, 1 },
    { SAID, POD_REFUSED, "", V_OPEN, 2 },
    { SAID, POD_GONE, "", V_OPEN, 2 },
    { SAID, POD_RESET, "", V_RESET, 1 },
    { SAID, POD_LOST, "", V_RESET, 1 },
    { SAID_TOO_MUCH, POD_REFUSED, "", V_RESET, 1 },
    { RELAYING, CLIENT_SPEAKS, "half", V_OPEN, 1 },
    { RELAYING, CLIENT_ENDS, "half", V_OPEN, 1 },
    { RELAYING, POD_SPEAKS, "halfanswer", V_OPEN, 1 },
    { RELAYING, POD_ENDS, "half", V_CLEAN, 1 },
    { RELAYING, POD_RESET, "half", V_RESET, 1 },
    { RELAYING, POD_LOST, "half", V_RESET, 1 },
    { RELAYING, TIME_PASSES, "half", V_OPEN, 1 },
    { HALF_CLOSED, POD_SPEAKS, "halfanswer", V_OPEN, 1 },
    { HALF_CLOSED, POD_ENDS, "half", V_CLEAN, 1 },
    { HALF_CLOSED, POD_RESET, "half", V_RESET, 1 },
    { HALF_CLOSED, TIME_PASSES, "half", V_OPEN, 1 },
};

static void each_end_of_a_pod_has_its_end_for_the_client(void **state)
{
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        stage_setup(state);
        struct stage *st = *state;
        struct stream *client;

        bring(st, seen[i].place, &client);
        happen(st, seen[i].event, &client);
        const char *received = stage_received(st, client);
        if (strcmp(received, seen[i].expected) != 0 ||
            client->end.verdict != seen[i].end || st->lease_count != seen[i].leases)
            fail_msg("row %zu: \"%s\", end %d, %zu leases", i, received,
                     (int)client->end.verdict, st->lease_count);
        stage_teardown(state);
    }
}

/* The second pod receives exactly the bytes that were for the first one. */
static void the_bytes_of_a_client_are_repeated_to_the_next_pod(void **state)
{
    struct stage *st = *state;
    st->raw = true;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "hel");
    stage_write(st, client, "lo");
    pod_ends(st, 0, V_REFUSED, "connection refused");
    assert_int_equal(st->lease_count, 2);
    assert_string_equal(st->leases[1].avoid, "web-0");
    stage_write(st, client, "!");
    assert_received(st, pod(st, 1), "hello!");
    stage_write(st, pod(st, 1), "yes?");
    assert_received(st, client, "yes?");
    drop(st, &client);
    assert_release(st, 1, RELEASE_CLOSE); /* no bytes are in transit */
}

/* The kept bytes exceed the queue of the next pod's stream. */
static void more_bytes_than_a_queue_are_repeated_to_the_next_pod(void **state)
{
    struct stage *st = *state;
    st->raw = true;
    struct stream *client = stage_raw_client(st);
    char word[101], all[4001] = "";

    st->limit = 1000; /* of the next pod's queues */
    for (int i = 0; i < 40; i++) {
        snprintf(word, sizeof(word), "%0100d", i);
        strcat(all, word);
        stage_write(st, client, word);
    }
    pod_ends(st, 0, V_REFUSED, "connection refused");
    assert_int_equal(st->lease_count, 2);
    for (size_t at = 0, n; at < sizeof(all) - 1; at += n) {
        const char *received = stage_received(st, pod(st, 1));
        n = strlen(received);
        assert_in_range(n, 1, sizeof(all) - 1 - at);
        assert_memory_equal(received, all + at, n);
    }
    drop(st, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_events_in_any_state_are_handled),
        cmocka_unit_test(each_end_of_a_pod_has_its_end_for_the_client),
        cmocka_unit_test_setup_teardown(
            the_bytes_of_a_client_are_repeated_to_the_next_pod, stage_setup,
            stage_teardown),
        cmocka_unit_test_setup_teardown(
            more_bytes_than_a_queue_are_repeated_to_the_next_pod, stage_setup,
            stage_teardown),
    };
    return cmocka_run_group_tests_name("serve/raw", tests, NULL, NULL);
}
