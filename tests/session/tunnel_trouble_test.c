/* tests/session/tunnel_trouble_test.c - tunnels: every event in every state
 *
 * Events are: the transport ends in each way, time passes, the server sends a frame, the
 * user acts. Each happens in each state of a tunnel and of its pair, also two in each
 * order.  Afterwards openings have a result, streams have a verdict, tunnels are closed,
 * and no chunk is in use.
 */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"
#include "tunnel_rules.h"

#define THROTTLED(seconds)                                                               \
    "HTTP/1.1 429 Too Many Requests\r\nRetry-After: " seconds "\r\n"                     \
    "Content-Length: 0\r\n\r\n"
#define REFUSED(status)                                                                  \
    "HTTP/1.1 " status "\r\nContent-Length: 17\r\n\r\n{\"kind\":\"Status\"}"

/* The state that a tunnel and its connection are brought to before an event. */
enum place {
    CONNECTING,
    UPGRADING,
    OPEN,       /* a pair is open */
    WRITING,    /* ... and has sent, and got, something */
    DATA_ENDED, /* the data stream has, the error stream has not */
    FAILED,     /* the error stream has the reason */
    CLEAN,      /* both streams have ended; its user has not closed the pair */
    LEFT,       /* its user has closed the pair; the verdict is pending */
    PROBING,    /* the pair is gone, five PINGs were sent */
    IDLE,
    BESIDE_DEAD, /* a worker is dead; the pair uses another one */
    PLACES
};

enum event {
    CONNECTED,
    NOT_CONNECTED,
    SWITCHED,
    FORBIDDEN,
    TRANSPORT_ENDS,
    TRANSPORT_BREAKS,
    BYTES_COME,
    DATA_FIN,
    ERROR_FIN,
    TEXT_COMES,
    RST_COMES,
    GOAWAY_COMES,
    NO_MORE_PONGS,
    USER_WRITES,
    USER_CLOSES,
    USER_ABORTS,
    ANOTHER_OPENS,
    POD_IS_GONE,
    LIVENESS_CHECK,
    A_WHILE,     /* longer than a verdict and a probe may take */
    A_LONG_TIME, /* longer than anything */
    DRAIN,
    EVENTS
};

static struct user user, other, late;
static struct task drained;

static void on_drained(struct task *task)
{
    (void)task;
}

static struct server *server(void)
{
    return rig.servers[rig.dials - 1];
}

static void fail_pair(struct server *s, size_t pair)
{
    server_text(s, pair, "error forwarding port 80: connection refused");
    server_fin(s, pair, true);
    rig_run();
}

static void bring_pair(enum place place, struct server *s)
{
    if (place == WRITING) {
        user_write(&user, "hello", 5);
        server_data(s, s->pairs[0].data_id, "hi", 2, 0);
    }
    if (place == DATA_ENDED)
        server_fin(s, 0, false);
    if (place == FAILED || place == BESIDE_DEAD)
        fail_pair(s, 0);
    if (place == CLEAN || place == PROBING || place == IDLE)
        server_finish_pair(s, 0);
    s->silent = place == PROBING;
    rig_run();
    if (place == LEFT || place == PROBING || place == IDLE || place == BESIDE_DEAD)
        user_finish(&user);
    rig_run();
    if (place == BESIDE_DEAD) {
        s->stuck = 1u << s->pairs[0].data_id % 5;
        user_open(&user, "uid-1", 80);
    }
}

static void bring(enum place place)
{
    memset(&user, 0, sizeof(user));
    memset(&other, 0, sizeof(other));
    task_init(&drained, rig.sched, RANK_WORK, on_drained);
    if (place == CONNECTING || place == UPGRADING)
        user_open(&user, "uid-1", 80);
    if (place == UPGRADING)
        server_connect(0);
    if (place > UPGRADING)
        bring_pair(place, rig_warm(&user));
    rig_run();
}

static bool can_speak(const struct server *s)
{
    return s->end && !s->end->broken && !s->end->shut && s->end->end.verdict == V_OPEN;
}

static void server_does(enum event event, struct server *s)
{
    static const char forbidden[] = REFUSED("403 Forbidden");
    size_t last = s->pair_count - 1;

    if (event == FORBIDDEN && !s->switched)
        server_send(s, forbidden, sizeof(forbidden) - 1);
    else if (event == TRANSPORT_ENDS)
        server_end(s);
    else if (event == TRANSPORT_BREAKS)
        server_break(s);
    else if (event == GOAWAY_COMES && s->switched)
        server_goaway(s);
    else if (event == BYTES_COME && s->pair_count)
        server_data(s, s->pairs[last].data_id, "news", 4, 0);
    else if (event == DATA_FIN && s->pair_count)
        server_fin(s, last, false);
    else if (event == ERROR_FIN && s->pair_count)
        server_fin(s, last, true);
    else if (event == TEXT_COMES && s->pair_count)
        fail_pair(s, last);
    else if (event == RST_COMES && s->pair_count)
        server_rst(s, s->pairs[last].error_id);
}

static void user_does(enum event event)
{
    struct stream *s = user.opening.stream;

    if (event == USER_WRITES && s && s->end.verdict == V_OPEN && !s->shut)
        user_write(&user, "more", 4);
    else if (event == USER_CLOSES)
        user_finish(&user);
    else if (event == USER_ABORTS)
        stream_abort(TAKE(user.opening.stream));
    else if (event == ANOTHER_OPENS && !other.wake.sched)
        user_open(&other, "uid-1", 80);
}

static void happen(enum event event)
{
    struct server *s = server();

    if (event == CONNECTED && s->dial)
        server_connect(rig.dials - 1);
    else if (event == NOT_CONNECTED && s->dial)
        server_refuse(rig.dials - 1, ERR_CONNECT, "no route to host");
    else if (event == SWITCHED && s->end && !s->switched && can_speak(s))
        server_switch(s);
    else if (event == NO_MORE_PONGS)
        s->silent = true;
    else if (event == POD_IS_GONE)
        connector_retire(tunnels_connector(rig.tunnels), "uid-1");
    else if (event == LIVENESS_CHECK)
        tunnels_check(rig.tunnels, "a test");
    else if (event == DRAIN)
        tunnels_drain(rig.tunnels, &drained);
    else if (can_speak(s))
        server_does(event, s);
    user_does(event);
    rig_advance(event == A_WHILE ? 4000 : event == A_LONG_TIME ? 40000 : 0);
}

static void check_user(const struct user *u)
{
    const struct stream *s = u->opening.stream;

    if (s)
        rules_check_stream(s);
    if (u->opening.result != OK && u->opening.result != ERR_AGAIN)
        assert_true(u->opening.error.why.text[0]);
}

static void check(void)
{
    check_user(&user);
    check_user(&other);
    rules_check();
}

static void play(void **state, enum place place, enum event first, enum event second)
{
    rig_begin(state);
    bring(place);
    server()->blind = true; /* the tunnel may be closed and not read the server's FIN */
    happen(first);
    check();
    happen(second);
    check();

    for (size_t i = 0; i < rig.dials; i++)
        rig.servers[i]->silent = true;
    rig_advance(40000); /* without an answer the tunnel is found dead */
    check();
    if (user.opening.result == ERR_AGAIN || !tunnels_idle(rig.tunnels))
        fail_msg("place %d, events %d and %d: a tunnel is left", (int)place, (int)first,
                 (int)second);
    user_finish(&user);
    if (other.wake.sched)
        user_finish(&other);
    task_cancel(&drained);
    rig_end(state);
}

static void any_two_events_in_any_state_are_handled(void **state)
{
    for (int place = 0; place < PLACES; place++)
        for (int first = 0; first < EVENTS; first++)
            for (int second = 0; second < EVENTS; second++)
                play(state, (enum place)place, (enum event)first, (enum event)second);
}

/* ---- answers that are no tunnel ---- */

static void answer(size_t dial, const char *text)
{
    struct server *s = server_connect(dial);
    server_send(s, text, strlen(text));
    rig_run();
}

/* An opening now fails at once, and no dial is made. */
static void expect_throttled(void)
{
    size_t dials = rig.dials;

    user_open(&late, "uid-1", 80);
    rig_run();
    assert_int_equal(late.opening.result, ERR_THROTTLED);
    assert_int_equal(rig.dials, dials);
    user_finish(&late);
}

static void expect_dial(void)
{
    size_t dials = rig.dials;

    user_open(&late, "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, dials + 1);
    user_finish(&late);
}

/* A Retry-After of a day is shortened; and no value means "at once". */
static void the_longest_retry_after_is_half_a_minute(void **state)
{
    (void)state;

    user_open(&user, "uid-1", 80);
    answer(0, THROTTLED("86400"));
    user_finish(&user);
    rig_advance(29000);
    expect_throttled();
    rig_advance(1000);
    expect_dial();
}

/* Two dials were under way; the second one's response has no Retry-After. */
static void a_retry_after_outlives(const char *last_word)
{
    user_open(&user, "uid-1", 80);
    user_open(&other, "uid-1", 80);
    answer(0, THROTTLED("10"));
    if (last_word)
        answer(1, last_word);
    else
        server_switch(server_connect(1));
    assert_int_equal(user.opening.result, ERR_THROTTLED);
    assert_int_equal(other.opening.result, last_word ? ERR_SERVER : OK);
    rig_advance(9000);
    expect_throttled();
    rig_advance(1000);
    expect_dial();
    user_finish(&user);
    user_finish(&other);
}

static void a_retry_after_outlives_a_success(void **state)
{
    (void)state;
    a_retry_after_outlives(NULL);
}

static void a_retry_after_outlives_another_failure(void **state)
{
    (void)state;
    a_retry_after_outlives(REFUSED("500 Internal Server Error"));
}

/* Where the first transport is forbidden and the second is not, the result of the second
 * counts: after "forbidden" an opening is not retried. */
static void a_refusal_that_is_not_of_the_transport_fails_the_opening(void **state)
{
    (void)state;
    static const struct {
        const char *uid, *text;
        enum err told;
    } cases[] = {
        { "uid-1", THROTTLED("10"), ERR_THROTTLED },
        { "uid-2", REFUSED("500 Internal Server Error"), ERR_SERVER },
    };

    tunnels_destroy(rig.tunnels);
    rig.settings.transport = TUNNEL_TRANSPORT_AUTO;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, NULL), OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        user_open(&user, cases[i].uid, 80);
        answer(2 * i, REFUSED("403 Forbidden"));
        answer(2 * i + 1, cases[i].text);
        assert_int_equal(user.opening.result, cases[i].told);
        user_finish(&user);
    }
}

/* A token that was replaced a moment ago costs one more dial, and one that is refused again no
 * third. */
static void a_401_causes_one_renewal_of_the_credential(void **state)
{
    (void)state;
    rig.renewable = true;
    user_open(&user, "uid-1", 80);
    answer(0, REFUSED("401 Unauthorized"));
    assert_int_equal(user.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 2);
    server_switch(server_connect(1));
    assert_int_equal(user.opening.result, OK);
    user_open(&other, "uid-2", 80);
    answer(2, REFUSED("401 Unauthorized"));
    answer(3, REFUSED("401 Unauthorized"));
    assert_int_equal(other.opening.result, ERR_UNAUTHORIZED);
    assert_int_equal(rig.dials, 4);
    user_finish(&user);
    user_finish(&other);
}

/* A plugin may run for minutes, because it prompts a person; this does not count towards
 * the dial's time-out. */
static void dial_waits_for_the_credential_beyond_its_own_time(void **state)
{
    (void)state;
    rig.credentials = ERR_AGAIN;
    user_open(&user, "uid-1", 80);
    rig_advance(2 * rig.settings.dial_ms);
    assert_int_equal(user.opening.result, ERR_AGAIN);
    assert_non_null(rig.waiting);
    rig.credentials = OK;
    task_wake(rig.waiting);
    rig_run();
    assert_int_equal(rig.dials, 1);
    struct server *s = server_connect(0);
    assert_non_null(strstr(s->request, "\r\nAuthorization: Bearer secret\r\n"
                                       "Impersonate-User: jane\r\n"));
    server_switch(s);
    assert_int_equal(user.opening.result, OK);
    user_finish(&user);
}

static void opening_that_waits_for_a_credential_is_cancelled(void **state)
{
    (void)state;
    rig.credentials = ERR_AGAIN;
    user_open(&user, "uid-1", 80);
    rig_run();
    assert_non_null(rig.waiting);
    user_finish(&user);
    rig_advance(1000);
}

static void missing_credential_fails_the_opening_with_its_reason(void **state)
{
    (void)state;
    rig.credentials = ERR_CREDENTIALS;
    user_open(&user, "uid-1", 80);
    rig_run();
    assert_int_equal(user.opening.result, ERR_CREDENTIALS);
    assert_string_equal(user.opening.error.why.text, "the plugin failed");
    rig.credentials = OK;
    user_finish(&user);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_events_in_any_state_are_handled),
        TEST(the_longest_retry_after_is_half_a_minute),
        TEST(a_retry_after_outlives_a_success),
        TEST(a_retry_after_outlives_another_failure),
        TEST(a_refusal_that_is_not_of_the_transport_fails_the_opening),
        TEST(a_401_causes_one_renewal_of_the_credential),
        TEST(dial_waits_for_the_credential_beyond_its_own_time),
        TEST(opening_that_waits_for_a_credential_is_cancelled),
        TEST(missing_credential_fails_the_opening_with_its_reason),
    };
    return cmocka_run_group_tests_name("tunnel/trouble", tests, NULL, NULL);
}
