/* tests/session/trouble_test.c - sessions: every event in every state
 *
 * Events are: the client ends or breaks, the pod ends in each way, a deadline passes.
 * Each happens in each state, also two in each order.  Afterwards leases are returned,
 * sessions have ended or serve the next request, and no buffer is left, which the stage's
 * teardown checks.
 */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define UPGRADE                                                                          \
    "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define SWITCHED                                                                         \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"                         \
    "Connection: Upgrade\r\n\r\n"

/* The state a session is brought to before an event. */
enum place {
    NOTHING_SAID,
    IN_HEAD,
    LEASING,
    UPLOADING,
    AWAITING,
    IN_ANSWER_HEAD,
    IN_BODY,
    IN_CHUNKS,
    IN_BODY_TO_EOF,
    RELAYING,
    LINGERING,
    BETWEEN_REQUESTS,
    PLACES
};

static const struct {
    bool pending; /* the lease is pending */
    const char *request, *answer;
} places[PLACES] = {
    [NOTHING_SAID] = { false, "", NULL },
    [IN_HEAD] = { false, "GET / HT", NULL },
    [LEASING] = { true, GET, NULL },
    [UPLOADING] = { false, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nhalf",
                    NULL },
    [AWAITING] = { false, GET, NULL },
    [IN_ANSWER_HEAD] = { false, GET, "HTTP/1.1 200 O" },
    [IN_BODY] = { false, GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" },
    [IN_CHUNKS] = { false, GET,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf" },
    [IN_BODY_TO_EOF] = { false, GET, "HTTP/1.1 200 OK\r\n\r\nhalf" },
    [RELAYING] = { false, UPGRADE, SWITCHED "half" },
    [LINGERING] = { false, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nhalf",
                    "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n" },
    [BETWEEN_REQUESTS] = { false, GET, EMPTY },
};

enum event {
    CLIENT_ENDS,
    CLIENT_BREAKS,
    CLIENT_SPEAKS,
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

static void bring(struct stage *st, enum place place, struct stream **ret_client)
{
    st->script[0].result = places[place].pending ? ERR_AGAIN : OK;
    *ret_client = stage_client(st);
    stage_write(st, *ret_client, places[place].request);
    if (places[place].answer)
        stage_write(st, pod(st, 0), places[place].answer);
}

static void pod_event(struct stage *st, enum verdict verdict)
{
    size_t last = st->lease_count - 1;
    if (st->lease_count && st->leases[last].ours)
        pod_ends(st, last, verdict, NULL);
}

static void lease_event(struct stage *st, enum err result)
{
    size_t last = st->lease_count - 1;
    bool asked = st->lease_count && st->leases[last].lease;
    if (asked && st->leases[last].outcome.result == ERR_AGAIN)
        stage_deliver(st, last, &(struct outcome){ .result = result });
}

static void happen(struct stage *st, enum event event, struct stream **client)
{
    static const enum verdict verdicts[EVENTS] = {
        [POD_ENDS] = V_CLEAN,          [POD_REFUSED] = V_REFUSED,  [POD_RESET] = V_RESET,
        [POD_LOST] = V_TRANSPORT_LOST, [POD_GONE] = V_TARGET_GONE,
    };

    if (event == CLIENT_ENDS && *client)
        hang_up(st, *client);
    else if (event == CLIENT_BREAKS && *client)
        drop(st, client);
    else if (event == CLIENT_SPEAKS && *client && !(*client)->shut && !(*client)->broken)
        stage_write(st, *client, "body!");
    else if (verdicts[event])
        pod_event(st, verdicts[event]);
    else if (event == LEASE_OK || event == LEASE_FAILS)
        lease_event(st, event == LEASE_OK ? OK : ERR_UNAVAILABLE);
    else if (event == TIME_PASSES)
        stage_pass(st, 200000);
    else if (event == DRAIN)
        serve_drain(stage_serve(st), &st->drained);
    stage_run(st);
}

/* Asserts that a truncated response does not end like a complete one. */
static void check_honesty(struct stage *st, enum place place, struct stream *client)
{
    if (!client || place != IN_BODY_TO_EOF || client->end.verdict != V_CLEAN)
        return;
    assert_true(st->leases[0].returned);
    assert_int_equal(st->leases[0].release, RELEASE_CLOSE);
}

static void play(void **state, enum place place, enum event first, enum event second)
{
    stage_setup(state);
    struct stage *st = *state;
    struct stream *client;

    bring(st, place, &client);
    happen(st, first, &client);
    happen(st, second, &client);
    check_honesty(st, place, client);
    stage_drain(st);
    if (!serve_idle(st->serve))
        fail_msg("place %d, events %d and %d: a session is left", (int)place, (int)first,
                 (int)second);
    assert_true(st->drained_count > 0);
    stage_teardown(state);
}

static void any_two_events_in_any_state_are_handled(void **state)
{
    for (int place = 0; place < PLACES; place++)
        for (int first = 0; first < EVENTS; first++)
            for (int second = 0; second < EVENTS; second++)
                play(state, (enum place)place, (enum event)first, (enum event)second);
}

/* The effect of one event in one state: the start of what the client receives, and how
 * its connection ends. */
static const struct {
    enum place place;
    enum event event;
    const char *expected;
    enum verdict end;
} seen[] = {
    { NOTHING_SAID, CLIENT_ENDS, "", V_CLEAN },
    { NOTHING_SAID, TIME_PASSES, "", V_CLEAN },
    { NOTHING_SAID, DRAIN, "", V_CLEAN },
    { IN_HEAD, CLIENT_ENDS, "", V_CLEAN },
    { IN_HEAD, TIME_PASSES, "HTTP/1.1 408 Request Timeout\r\n", V_CLEAN },
    { IN_HEAD, DRAIN, "", V_OPEN },
    { LEASING, LEASE_FAILS, "HTTP/1.1 503 Service Unavailable\r\n", V_OPEN },
    { LEASING, LEASE_OK, "", V_OPEN },
    { LEASING, TIME_PASSES, "HTTP/1.1 504 Gateway Timeout\r\n", V_OPEN },
    { UPLOADING, CLIENT_ENDS, "HTTP/1.1 400 Bad Request\r\n", V_CLEAN },
    { UPLOADING, CLIENT_SPEAKS, "", V_OPEN },
    { UPLOADING, POD_RESET, "HTTP/1.1 502 Bad Gateway\r\n", V_CLEAN },
    { UPLOADING, POD_REFUSED, "", V_OPEN },
    { UPLOADING, TIME_PASSES, "", V_OPEN },
    { AWAITING, POD_RESET, "", V_OPEN },
    { AWAITING, TIME_PASSES, "", V_OPEN },
    { AWAITING, DRAIN, "", V_OPEN },
    { IN_ANSWER_HEAD, POD_ENDS, "HTTP/1.1 502 Bad Gateway\r\n", V_OPEN },
    { IN_ANSWER_HEAD, POD_LOST, "HTTP/1.1 502 Bad Gateway\r\n", V_OPEN },
    { IN_BODY, POD_ENDS, "HTTP/1.1 200 OK\r\n", V_CLEAN },
    { IN_BODY, POD_LOST, "HTTP/1.1 200 OK\r\n", V_CLEAN },
    { IN_CHUNKS, POD_RESET, "HTTP/1.1 200 OK\r\n", V_CLEAN },
    { IN_BODY_TO_EOF, POD_ENDS, "HTTP/1.1 200 OK\r\n", V_CLEAN },
    { IN_BODY_TO_EOF, POD_RESET, "HTTP/1.1 200 OK\r\n", V_RESET },
    { IN_BODY_TO_EOF, POD_LOST, "HTTP/1.1 200 OK\r\n", V_RESET },
    { RELAYING, POD_ENDS, SWITCHED "half", V_CLEAN },
    { RELAYING, POD_RESET, SWITCHED "half", V_RESET },
    { RELAYING, TIME_PASSES, SWITCHED "half", V_OPEN },
    { LINGERING, TIME_PASSES, "HTTP/1.1 400 No\r\n", V_CLEAN },
    { BETWEEN_REQUESTS, POD_RESET, EMPTY, V_OPEN },
    { BETWEEN_REQUESTS, TIME_PASSES, EMPTY, V_CLEAN },
    { BETWEEN_REQUESTS, DRAIN, EMPTY, V_CLEAN },
    { BETWEEN_REQUESTS, CLIENT_ENDS, EMPTY, V_CLEAN },
};

static void each_end_of_a_pod_has_its_answer_for_the_client(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        stage_setup(state);
        struct stage *st = *state;
        struct stream *client;
        bring(st, seen[i].place, &client);
        happen(st, seen[i].event, &client);
        const char *output = stage_received(st, client);
        stage_pass(st, 2500);
        bool right = seen[i].expected[0] ? strncmp(output, seen[i].expected,
                                                   strlen(seen[i].expected)) == 0
                                         : output[0] == '\0';
        if (!right || client->end.verdict != seen[i].end)
            fail_msg("case %zu: the client's end is %d, and it saw\n%s", i,
                     (int)client->end.verdict, output);
        stage_teardown(state);
    }
}

static void a_head_that_comes_too_slowly_is_cut_off(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->config->head_timeout_ms = 15000;
    for (int i = 0; i < 15; i++) {
        assert_received(st, client, "");
        stage_write(st, client, i ? "x" : "GET /");
        stage_pass(st, 1000);
    }
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 408 ", 13);
    assert_int_equal(client->end.verdict, V_CLEAN);
}

static void an_answer_is_waited_for_until_response_timeout(void **state)
{
    struct stage *st = *state;
    st->config->response_timeout_ms = 5000;
    struct stream *client = stage_client(st);

    stage_write(st, client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        stage_pass(st, 4000);
        assert_received(st, client, "");
        stage_write(st, client, "x");
    }
    stage_pass(st, 4999);
    assert_received(st, client, "");
    stage_pass(st, 1);
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 504 Gateway Timeout\r\n",
                        30);
    assert_release(st, 0, RELEASE_ABORT);
    assert_int_equal(client->end.verdict, V_OPEN);

    stage_write(st, client, GET);
    stage_pass(st, 4000);
    stage_write(st, pod(st, 1), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
    stage_pass(st, 100000);
    stage_write(st, pod(st, 1), "i");
    assert_release(st, 1, RELEASE_KEEP);
}

static void bytes_are_carried_both_ways_after_an_upgrade(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client, UPGRADE);
    assert_received(st, pod(st, 0), UPGRADE);
    stage_write(st, pod(st, 0), SWITCHED "first");
    assert_received(st, client, SWITCHED "first");
    stage_write(st, client, "\x81 anything");
    assert_received(st, pod(st, 0), "\x81 anything");
    hang_up(st, client);
    stage_pass(st, 10000);
    stage_write(st, pod(st, 0), "still");
    assert_received(st, client, "still");
    assert_int_equal(pod(st, 0)->end.verdict, V_OPEN);
    hang_up(st, pod(st, 0));
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_release(st, 0, RELEASE_CLOSE);
}

static void an_upgrade_that_is_refused_is_an_ordinary_answer(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client, UPGRADE);
    stage_write(st, pod(st, 0), EMPTY);
    assert_received(st, client, EMPTY);
    assert_release(st, 0, RELEASE_KEEP);
    stage_write(st, client, GET);
    assert_received(st, pod(st, 1), GET);
}

static void draining_closes_idle_sessions_at_once_and_others_when_done(void **state)
{
    struct stage *st = *state;
    struct stream *idle = stage_client(st), *busy = stage_client(st),
                  *stuck = stage_client(st);

    stage_write(st, busy, GET);
    stage_write(st, stuck, UPGRADE);
    stage_write(st, pod(st, 1), SWITCHED);
    serve_drain(st->serve, &st->drained);
    stage_run(st);
    assert_int_equal(idle->end.verdict, V_CLEAN);
    assert_int_equal(serve_sessions(st->serve), 2);
    stage_pass(st, 1000);
    stage_write(st, pod(st, 0), EMPTY);
    assert_non_null(strstr(stage_received(st, busy), "Connection: close\r\n"));
    assert_int_equal(busy->end.verdict, V_CLEAN);
    stage_pass(st, 6999);
    assert_int_equal(stuck->end.verdict, V_OPEN);
    assert_int_equal(st->drained_count, 0);
    stage_pass(st, 1);
    assert_int_equal(stuck->end.verdict, V_RESET);
    assert_int_equal(st->drained_count, 1);
}

static void clients_beyond_the_limit_are_refused(void **state)
{
    struct stage *st = *state;
    st->config->max_connections = 2;
    struct stream *first = stage_client(st);
    stage_client(st);
    struct stream *third = stage_client(st);

    stage_write(st, third, GET);
    assert_memory_equal(stage_received(st, third), "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(st->received, "Retry-After: 1\r\n"));
    assert_int_equal(third->end.verdict, V_CLEAN);
    stage_pass(st, 2000);
    drop(st, &first);
    stage_write(st, stage_client(st), GET);
    assert_int_equal(st->lease_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_events_in_any_state_are_handled),
        cmocka_unit_test(each_end_of_a_pod_has_its_answer_for_the_client),
        TEST(a_head_that_comes_too_slowly_is_cut_off),
        TEST(an_answer_is_waited_for_until_response_timeout),
        TEST(bytes_are_carried_both_ways_after_an_upgrade),
        TEST(an_upgrade_that_is_refused_is_an_ordinary_answer),
        TEST(draining_closes_idle_sessions_at_once_and_others_when_done),
        TEST(clients_beyond_the_limit_are_refused),
    };
    return cmocka_run_group_tests_name("session/trouble", tests, NULL, NULL);
}
