/* tests/session/stall_test.c - clients that stop in the middle of a request or of an answer */
#include "stage.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define CLOSING "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HOUR 3600000

static const struct arrival elsewhere = { .address = "10.0.0.1:1", .port = 8080 };

/* Advances in steps, because the timer also checks at half of its time. */
static void pass_in_steps(struct stage *st, uint64_t ms)
{
    uint64_t half = (ms + 2) / 2;

    stage_pass(st, half);
    stage_pass(st, ms - half);
}

static void check_half_sent(struct stage *st, struct stream *client, uint64_t ms)
{
    stage_write(st, client, POST "half");
    pass_in_steps(st, ms - 1);
    assert_received(st, client, "");
    stage_write(st, client, "x"); /* progress */
    pass_in_steps(st, ms - 1);
    assert_received(st, client, "");
    stage_pass(st, 1);
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 408 ", 13);
    assert_release(st, st->lease_count - 1, RELEASE_ABORT);
}

static void half_sent_body_is_refused_after_5_minutes_on_loopback(void **state)
{
    struct stage *st = *state;
    check_half_sent(st, stage_client(st), 5 * 60000);
}

static void half_sent_body_is_refused_after_60_s_elsewhere(void **state)
{
    struct stage *st = *state;
    check_half_sent(st, stage_client_from(st, &elsewhere), 60000);
}

static void half_sent_body_is_refused_after_60_s_in_a_pod(void **state)
{
    struct stage *st = *state;
    serve_set_in_pod(stage_serve(st), true);
    check_half_sent(st, stage_client(st), 60000);
}

static void half_sent_body_is_refused_after_body_timeout(void **state)
{
    struct stage *st = *state;
    st->config->body_timeout_ms = 500;
    check_half_sent(st, stage_client(st), 500);
}

/* The pod has the whole request, or has not requested the body with a 100 yet, so the
 * client is not late. */
static void answer_that_the_pod_delays_is_waited_for(void **state)
{
    static const char *const requests[] = {
        GET,
        POST "0123456789",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    };
    struct stage *st = *state;

    for (size_t i = 0; i < 3; i++) {
        struct stream *client = stage_client_from(st, &elsewhere);
        stage_write(st, client, requests[i]);
        pass_in_steps(st, HOUR);
        assert_received(st, client, "");
        stage_write(st, pod(st, i), EMPTY);
        assert_memory_equal(stage_received(st, client), "HTTP/1.1 200 ", 13);
    }
}

/* The pod has sent its whole response and closed; the client reads only part of it. */
static struct stream *leave_answer_unread(struct stage *st, struct stream *client)
{
    static char body[60000];

    memset(body, 'x', sizeof(body));
    client->paused = true;
    stage_write(st, client, CLOSING);
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
    stage_write_bytes(st, pod(st, 0), body, sizeof(body));
    assert_release(st, 0, RELEASE_KEEP);
    return client;
}

static void unread_answer_is_kept_on_loopback(void **state)
{
    struct stage *st = *state;
    struct stream *client = leave_answer_unread(st, stage_client(st));

    pass_in_steps(st, 24 * HOUR);
    assert_int_equal(client->end.verdict, V_OPEN);
    client->paused = false;
    assert_true(strlen(stage_received(st, client)) > 60000);
    assert_int_equal(client->end.verdict, V_CLEAN);
}

static void unread_answer_is_reset_after_60_s_elsewhere(void **state)
{
    struct stage *st = *state;
    struct stream *client = leave_answer_unread(st, stage_client_from(st, &elsewhere));

    pass_in_steps(st, 59999);
    assert_int_equal(client->end.verdict, V_OPEN);
    stage_pass(st, 1);
    assert_int_equal(client->end.verdict, V_RESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(half_sent_body_is_refused_after_5_minutes_on_loopback),
        TEST(half_sent_body_is_refused_after_60_s_elsewhere),
        TEST(half_sent_body_is_refused_after_60_s_in_a_pod),
        TEST(half_sent_body_is_refused_after_body_timeout),
        TEST(answer_that_the_pod_delays_is_waited_for),
        TEST(unread_answer_is_kept_on_loopback),
        TEST(unread_answer_is_reset_after_60_s_elsewhere),
    };
    return cmocka_run_group_tests_name("session/stall", tests, NULL, NULL);
}
