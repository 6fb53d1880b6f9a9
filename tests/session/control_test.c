/* tests/session/control_test.c - requests to the control socket, whole, in parts and wrong */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "control_rig.h"
#include "serve/observer.h"
#include "serve/serve_state.h"

#define LIMIT 65536

static int setup(void **state)
{
    *state = control_rig_create();
    return 0;
}

static int teardown(void **state)
{
    control_rig_destroy(*state);
    return 0;
}

static void put(struct control_rig *r, struct stream *to, struct str text)
{
    bufq_write(&to->out, text.at, text.len);
    stream_update(to);
    control_rig_run(r);
}

static char received[1 << 21];

/* All that came, as text. */
static const char *take(struct control_rig *r, struct stream *at)
{
    size_t len = 0, n;

    do {
        n = bufq_read(&at->in, received + len, sizeof(received) - 1 - len);
        len += n;
        stream_update(at);
        control_rig_run(r);
    } while (n);
    received[len] = '\0';
    return received;
}

static void assert_status(struct control_rig *r, struct stream *at, int status)
{
    int found = 0;

    assert_int_equal(sscanf(take(r, at), "HTTP/1.1 %d ", &found), 1);
    if (found != status)
        fail_msg("%d: %s", status, received);
    assert_true(at->in_eof);
}

#define GET(path) STR("GET " path " HTTP/1.1\r\nHost: x\r\n\r\n")

static void a_request_is_answered_and_the_connection_closed(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);

    put(r, client, GET("/v1"));
    assert_status(r, client, 200);
    assert_non_null(strstr(received, "\"api\":\"v1\""));
    stream_close(client);
}

static void every_split_of_a_request_is_answered(void **state)
{
    struct control_rig *r = *state;
    const struct str text = STR("POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                "12\r\n\r\n{\"now\":true}");

    for (size_t cut = 1; cut < text.len; cut++) {
        struct stream *client = control_rig_client(r, LIMIT);
        put(r, client, str_first(text, cut));
        assert_int_equal(r->stops, cut - 1);
        put(r, client, str_skip(text, cut));
        assert_status(r, client, 202);
        assert_int_equal(r->stops, cut);
        stream_close(client);
    }
}

static void half_a_request_ends_after_five_seconds(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);

    put(r, client, STR("GET /v1 HT"));
    control_rig_pass(r, 4900);
    assert_false(client->in_eof);
    control_rig_pass(r, 200);
    assert_true(client->in_eof || client->broken);
    stream_close(client);
}

static void a_client_that_ends_in_its_request_is_forgotten(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);

    put(r, client,
        STR("POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"));
    stream_shutdown(client);
    control_rig_run(r);
    assert_true(client->in_eof || client->broken);
    assert_int_equal(r->stops, 0);
    stream_close(client);
}

static void what_is_too_large_or_wrong_is_refused(void **state)
{
    static char large[10000];
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        { large, 431 },
        { "\x16\x03\x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413 },
        { "POST /v1/stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
          411 },
        { "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n[", 400 },
        { "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnull", 400 },
        { "GET /v1/stop HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
        { "GET /v1/events?status=x HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
    };
    struct control_rig *r = *state;

    memset(large, 'a', sizeof(large) - 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stream *client = control_rig_client(r, LIMIT);
        put(r, client, str_of(rows[i].text));
        assert_status(r, client, rows[i].status);
        stream_close(client);
    }
    assert_int_equal(r->stops, 0);
}

static void an_answer_that_is_not_read_ends_after_ten_seconds(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, 64);

    put(r, client, GET("/v1"));
    control_rig_pass(r, 9900);
    assert_false(client->broken);
    control_rig_pass(r, 200);
    assert_true(client->broken || client->in_eof);
    assert_null(strstr(take(r, client), "started"));
    stream_close(client);
}

/* --- events --- */

/* A request for a path of this length has ended. */
static void publish(struct control_rig *r, size_t path_len)
{
    static char text[20000];
    static struct name name;
    struct http1_field fields[4];
    struct http1_head head = { .fields = fields, .room = ARRAY_LEN(fields) };
    int len =
        snprintf(text, sizeof(text), "GET %*s HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n",
                 (int)path_len, "");

    memset(text + 4, 'a', path_len);
    assert_int_equal(http1_request_parse(text, (size_t)len, &head), OK);
    name_parse(STR("web.shop.svc"), STR("cluster.local"), &name);
    const struct request_event e = { .id = { .kind = 's', .number = 7, .sub = 1 },
                                     .client = "127.0.0.1",
                                     .request = &head,
                                     .host = STR("web.shop.svc"),
                                     .path = head.target,
                                     .name = &name,
                                     .status = 200 };
    if (r->serve->observer)
        r->serve->observer->on_request(r->serve->observer->owner, &e);
}

static void a_reader_gets_events_in_order_until_the_end(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);

    assert_null(r->serve->observer);
    put(r, client, GET("/v1/events"));
    assert_non_null(r->serve->observer);
    publish(r, 3);
    publish(r, 4);
    control_rig_pass(r, 20);
    assert_non_null(strstr(take(r, client), "\n{\"type\":\"request\",\"id\":\"s7.1\""));
    const char *first = strstr(received, "\"path\":\"aaa\"");
    assert_non_null(first);
    assert_non_null(strstr(first, "\"path\":\"aaaa\""));
    control_destroy(r->control);
    r->control = NULL;
    control_rig_run(r);
    assert_true(client->in_eof || client->broken);
    stream_close(client);
    assert_null(r->serve->observer);
}

static void nothing_is_observed_once_the_reader_leaves(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);

    put(r, client, GET("/v1/events?bodies=1"));
    assert_true(r->serve->observer->bodies);
    stream_close(client);
    control_rig_run(r);
    assert_null(r->serve->observer);
}

/* The number in each line {"type":"lost"}, added up. */
static unsigned long lost_in(const char *text)
{
    unsigned long sum = 0, n;

    for (; (text = strstr(text, "\"lost\",\"events\":")); text++)
        if (sscanf(text, "\"lost\",\"events\":%lu", &n) == 1)
            sum += n;
    return sum;
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

static void a_sleeping_reader_loses_events_that_are_counted(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, 4096);

    put(r, client, GET("/v1/events"));
    for (int i = 0; i < 300; i++)
        publish(r, 10000);
    control_rig_pass(r, 20);
    take(r, client);
    size_t seen = count_of(received, "\"type\":\"request\"");
    assert_int_equal(lost_in(received), 0); /* the number comes with the next event */
    assert_true(seen > 50 && seen < 200);
    publish(r, 10);
    control_rig_pass(r, 20);
    assert_int_equal(lost_in(take(r, client)), 300 - seen);
    assert_int_equal(count_of(received, "\"type\":\"request\""), 1);
    stream_close(client);
}

static void a_fast_reader_loses_nothing(void **state)
{
    struct control_rig *r = *state;
    struct stream *client = control_rig_client(r, LIMIT);
    size_t seen = 0;

    put(r, client, GET("/v1/events"));
    for (int i = 0; i < 300; i++) {
        publish(r, 10000);
        control_rig_pass(r, 20);
        seen += count_of(take(r, client), "\"type\":\"request\"");
        assert_int_equal(lost_in(received), 0);
    }
    assert_int_equal(seen, 300);
    stream_close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_and_the_connection_closed),
        TEST(every_split_of_a_request_is_answered),
        TEST(half_a_request_ends_after_five_seconds),
        TEST(a_client_that_ends_in_its_request_is_forgotten),
        TEST(what_is_too_large_or_wrong_is_refused),
        TEST(an_answer_that_is_not_read_ends_after_ten_seconds),
        TEST(a_reader_gets_events_in_order_until_the_end),
        TEST(nothing_is_observed_once_the_reader_leaves),
        TEST(a_sleeping_reader_loses_events_that_are_counted),
        TEST(a_fast_reader_loses_nothing),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
