/* tests/session/answers_test.c - when a connection stays open after a response, and how
 * it ends otherwise */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

enum pod_end { STAYS, ENDS, RESETS };

/* What the client sees at the end of its connection. */
enum client_end { KEPT, CLOSED, CUT };

static const struct {
    const char *name, *request, *answer;
    enum pod_end pod;
    const char *client_sees;
    enum client_end client;
    enum release_mode release;
} cases[] = {
    { "Connection: close of the client",
      "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", EMPTY, STAYS,
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", CLOSED,
      RELEASE_KEEP },
    { "Connection: close of the pod", GET,
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", STAYS, EMPTY,
      KEPT, RELEASE_CLOSE },
    { "a body to the end", GET, "HTTP/1.1 200 OK\r\n\r\nall of it", ENDS,
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", CLOSED, RELEASE_CLOSE },
    { "a body to a reset", GET, "HTTP/1.1 200 OK\r\n\r\nsome of it", RESETS,
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome of it", CUT, RELEASE_ABORT },
    { "a short length, ended", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
      ENDS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", CLOSED, RELEASE_ABORT },
    { "a short length, reset", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
      RESETS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", CLOSED,
      RELEASE_ABORT },
    { "chunks without the last", GET,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", ENDS,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", CLOSED,
      RELEASE_ABORT },
    { "chunks that are none", GET,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n", STAYS,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi", CLOSED,
      RELEASE_ABORT },
    { "all of a length, then a reset", GET, EMPTY, RESETS, EMPTY, KEPT, RELEASE_CLOSE },
    { "more than the length", GET, EMPTY "surplus", STAYS, EMPTY, KEPT, RELEASE_CLOSE },
    { "HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", STAYS,
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", CLOSED,
      RELEASE_KEEP },
    { "HTTP/1.0 knows no chunks",
      "GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
      "2\r\nhi\r\n4;x\r\n you\r\n0\r\nT: 1\r\n\r\n",
      STAYS, "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nhi you", CLOSED,
      RELEASE_KEEP },
    { "HTTP/1.0 cannot see cut chunks", "GET / HTTP/1.0\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", ENDS,
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", CUT, RELEASE_ABORT },
    { "HTTP/1.0 sees no interim answers", "GET / HTTP/1.0\r\n" HOST "\r\n",
      "HTTP/1.1 103 Early Hints\r\n\r\n" EMPTY, STAYS,
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", CLOSED,
      RELEASE_KEEP },
    { "an answer before the request's end",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nten bytes.",
      "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", STAYS,
      "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
      CLOSED, RELEASE_CLOSE },
    { "a length with chunks", GET,
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nhi\r\n0\r\n\r\n",
      STAYS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      KEPT, RELEASE_CLOSE },
    { "a length with chunks, for HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
      "2 \r\nhi\r\n0\r\nA : b\r\n\r\n",
      STAYS, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", CLOSED, RELEASE_CLOSE },
    { "equal lengths", GET,
      "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nA: b\r\nContent-Length: 2\r\n\r\nhi",
      STAYS, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi", KEPT,
      RELEASE_KEEP },
    { "blanks before colons", GET,
      "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length : 2\r\nC\t:d\r\nE: f\r\n\r\nhi", STAYS,
      "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nC: d\r\nE: f\r\n\r\nhi", KEPT,
      RELEASE_KEEP },
    { "loose chunks", GET,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2  \r\nhi\r\n1 ;a=b\r\n!\r\n0\r\nT : 1\r\n\r\n",
      STAYS,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nhi\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n",
      KEPT, RELEASE_KEEP },
    { "digits after a blank", GET,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1 1\r\n", STAYS,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1", CLOSED,
      RELEASE_ABORT },
    { "a 204 with a length", GET, "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", STAYS,
      "HTTP/1.1 204 No\r\n\r\n", KEPT, RELEASE_KEEP },
    { "a 204 that speaks of a body", GET, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
      STAYS, "HTTP/1.1 204 No\r\n\r\n", KEPT, RELEASE_CLOSE },
    { "an interim answer with a length", GET,
      "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: a\r\n\r\n" EMPTY, STAYS,
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" EMPTY, KEPT, RELEASE_KEEP },
    { "a 304 with a length", GET,
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", STAYS,
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KEPT, RELEASE_KEEP },
    { "the answer to HEAD, with equal lengths", "HEAD / HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n", STAYS,
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", KEPT, RELEASE_KEEP },
    { "a refused expectation",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
      "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", STAYS,
      "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", CLOSED,
      RELEASE_CLOSE },
};

/* Writes a response, and ends the pod's stream in the same turn. */
static void answer(struct stage *st, size_t i, const char *text, enum pod_end how)
{
    if (how != RESETS) {
        stage_write(st, pod(st, i), text);
        if (how == ENDS)
            hang_up(st, pod(st, i));
        return;
    }
    bufq_write(&st->leases[i].ours->in, text, strlen(text));
    pod_ends(st, i, V_RESET, "reset by peer");
}

static void check_end(struct stage *st, size_t i, struct stream *client)
{
    static const enum verdict verdicts[] = { V_OPEN, V_CLEAN, V_RESET };

    hang_up(st, client);
    stage_pass(st, 1);
    enum verdict wanted = verdicts[cases[i].client];
    if (wanted == V_OPEN)
        wanted = V_CLEAN; /* the pod has closed after a response */
    if (client->end.verdict != wanted)
        fail_msg("%s: the client's end is %d", cases[i].name, (int)client->end.verdict);
}

static void connections_are_kept_or_closed_as_both_messages_require(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream *client = stage_client(st);
        stage_write(st, client, cases[i].request);
        answer(st, i, cases[i].answer, cases[i].pod);
        if (strcmp(stage_received(st, client), cases[i].client_sees) != 0)
            fail_msg("%s: the client saw\n%s", cases[i].name, st->received);
        if (!st->leases[i].returned || st->leases[i].release != cases[i].release)
            fail_msg("%s: the lease's release mode is %d", cases[i].name,
                     (int)st->leases[i].release);
        if ((client->end.verdict == V_OPEN) != (cases[i].client == KEPT))
            fail_msg("%s: the client's end is %d", cases[i].name,
                     (int)client->end.verdict);
        check_end(st, i, client);
    }
    stage_pass(st, 3000);
    assert_true(serve_idle(st->serve));
}

static void the_keep_alive_time_of_the_pod_reaches_the_pool(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client, GET);
    stage_write(
        st, pod(st, 0),
        "HTTP/1.1 200 OK\r\nKeep-Alive: max=9, Timeout=5\r\nContent-Length: 0\r\n\r\n");
    assert_release(st, 0, RELEASE_KEEP);
    assert_int_equal(st->leases[0].keep_ms, 5000);
}

static void expect_and_100_continue_are_passed_on(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    const char *head =
        "PUT / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";

    stage_write(st, client, head);
    assert_received(st, pod(st, 0), head);
    stage_write(st, pod(st, 0), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_received(st, client, "HTTP/1.1 100 Continue\r\n\r\n");
    stage_write(st, client, "hello");
    assert_received(st, pod(st, 0), "hello");
    stage_write(st, pod(st, 0), EMPTY);
    assert_received(st, client, EMPTY);
    assert_release(st, 0, RELEASE_KEEP);
}

static void events_are_passed_on_as_they_arrive(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    stage_write(st, client, GET);
    stage_write(st, pod(st, 0), head);
    assert_received(st, client, head);
    for (int i = 0; i < 10; i++) {
        stage_pass(st, 60000);
        stage_write(st, pod(st, 0), "9\r\ndata: x\n\n\r\n");
        assert_received(st, client, "9\r\ndata: x\n\n\r\n");
    }
    stage_write(st, pod(st, 0), "0\r\n\r\n");
    assert_received(st, client, "0\r\n\r\n");
    assert_release(st, 0, RELEASE_KEEP);
}

static void a_pipeline_is_answered_in_order(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    char text[80];

    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
        bufq_write(&client->out, text, strlen(text));
    }
    stream_update(client);
    stage_run(st);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(st->lease_count, i + 1);
        snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
        assert_received(st, pod(st, (size_t)i), text);
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d",
                 i);
        stage_write(st, pod(st, (size_t)i), text);
        assert_received(st, client, text);
    }
}

static void a_half_closed_client_is_answered(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client, GET);
    hang_up(st, client);
    assert_false(st->leases[0].returned);
    assert_int_equal(pod(st, 0)->end.verdict, V_OPEN);
    stage_pass(st, 3600000);
    stage_write(st, pod(st, 0), EMPTY);
    assert_received(st, client, EMPTY);
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_release(st, 0, RELEASE_KEEP);
}

static void an_early_answer_is_passed_on_during_the_upload(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "POST / HTTP/1.1\r\n" HOST
                "Transfer-Encoding: chunked\r\n\r\n4\r\nping\r\n");
    stage_write(st, pod(st, 0),
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n");
    assert_string_equal(stage_received(st, client),
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                        "chunked\r\nConnection: close\r\n\r\n"
                        "4\r\npong\r\n");
    stage_write(st, client, "5\r\nagain\r\n0\r\n\r\n");
    assert_non_null(
        strstr(stage_received(st, pod(st, 0)), "\r\n5\r\nagain\r\n0\r\n\r\n"));
    stage_write(st, pod(st, 0), "0\r\n\r\n");
    assert_received(st, client, "0\r\n\r\n");
    assert_release(st, 0, RELEASE_KEEP);
    assert_int_equal(client->end.verdict, V_CLEAN);
}

/* If a socket is closed with unread bytes, the kernel sends a reset and drops the
 * response. */
static void a_client_that_still_sends_has_time_to_read_the_answer(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET GET);
    stage_write(st, pod(st, 0), EMPTY);
    assert_non_null(strstr(stage_received(st, client), " 200 OK"));
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_false(serve_idle(st->serve));
    hang_up(st, client);
    assert_true(serve_idle(st->serve));
}

static size_t swallow(struct stage *st, struct stream *client)
{
    size_t n = client->in.len;

    bufq_clear(&client->in);
    stream_update(client);
    stage_pass(st, 100000);
    return n;
}

/* The response is not cut off as long as the client reads some of it. */
static void a_slow_reader_is_waited_for_while_it_reads(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    static const char body[200000];
    size_t output = 0, received = 0;

    client->in.limit = 4096;
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    while (output < sizeof(body)) {
        output += bufq_write(&pod(st, 0)->out, body, sizeof(body) - output);
        stream_update(pod(st, 0));
        received += swallow(st, client);
    }
    while (client->end.verdict == V_OPEN || !bufq_empty(&client->in))
        received += swallow(st, client);
    assert_true(received > sizeof(body));
    assert_int_equal(client->end.verdict, V_CLEAN);
}

static void the_rest_of_an_upload_is_dropped_after_an_early_answer(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    char filler[1000] = { 0 };

    stage_write(st, client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    stage_write(st, pod(st, 0), "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    assert_release(st, 0, RELEASE_CLOSE);
    for (int i = 0; i < 500; i++)
        stage_write_bytes(st, client, filler, sizeof(filler));
    assert_non_null(strstr(stage_received(st, client), " 403 No"));
    assert_int_equal(client->end.verdict, V_CLEAN);
    stage_pass(st, 1999);
    assert_false(serve_idle(st->serve));
    stage_pass(st, 1);
    assert_true(serve_idle(st->serve));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_are_kept_or_closed_as_both_messages_require),
        TEST(the_keep_alive_time_of_the_pod_reaches_the_pool),
        TEST(expect_and_100_continue_are_passed_on),
        TEST(events_are_passed_on_as_they_arrive),
        TEST(a_pipeline_is_answered_in_order),
        TEST(a_half_closed_client_is_answered),
        TEST(an_early_answer_is_passed_on_during_the_upload),
        TEST(the_rest_of_an_upload_is_dropped_after_an_early_answer),
        TEST(a_client_that_still_sends_has_time_to_read_the_answer),
        TEST(a_slow_reader_is_waited_for_while_it_reads),
    };
    return cmocka_run_group_tests_name("session/answers", tests, NULL, NULL);
}
