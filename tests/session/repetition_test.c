/* tests/session/repetition_test.c - which requests are retried, when, and with which
 * endpoint */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const enum verdict verdicts[] = { V_CLEAN, V_REFUSED, V_RESET, V_TRANSPORT_LOST,
                                         V_TARGET_GONE };
static const char *const methods[] = { "GET",  "HEAD",  "OPTIONS", "PUT",   "DELETE",
                                       "POST", "PATCH", "BREW",    "TRACE", "get" };

static bool idempotent(const char *method)
{
    return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0 &&
           strcmp(method, "BREW") != 0 && strcmp(method, "get") != 0;
}

static bool never_delivered(enum verdict v)
{
    return v == V_REFUSED || v == V_TARGET_GONE;
}

struct trial {
    const char *method;
    enum verdict verdict;
    size_t body;     /* bytes of the body */
    bool reused;     /* the connection that fails was an idle one */
    bool some_bytes; /* bytes of a response were received before it failed */
};

static bool should_repeat(const struct stage *st, const struct trial *t)
{
    if (t->some_bytes || t->body > st->config->replay_buffer)
        return false;
    return never_delivered(t->verdict) || idempotent(t->method);
}

static void check(const struct trial *t, bool right, const char *what)
{
    if (!right)
        fail_msg("%s, verdict %d, body %zu, reused %d, bytes %d: %s", t->method,
                 (int)t->verdict, t->body, t->reused, t->some_bytes, what);
}

static void try(struct stage *st, const struct trial *t)
{
    size_t first = st->lease_count = 0;
    struct stream *client = stage_client(st);
    AUTO_FREE char *body = xcalloc(1, t->body + 1);
    AUTO_FREE char *head = xasprintf(
        "%s / HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", t->method, t->body);

    memset(body, 'b', t->body);
    st->script[0] = (struct outcome){ .reused = t->reused };
    stage_write(st, client, head);
    stage_write_bytes(st, client, body, t->body);
    AUTO_FREE char *sent = xstrdup(stage_received(st, pod(st, first)));
    assert_int_equal(strlen(sent), strlen(head) + t->body);
    if (t->some_bytes)
        stage_write(st, pod(st, first), "HTTP/1.1 2");
    pod_ends(st, first, t->verdict, NULL);
    assert_release(st, first, RELEASE_ABORT);

    bool again = should_repeat(st, t);
    check(t, (st->lease_count == 2) == again, again ? "not repeated" : "repeated");
    if (again) {
        check(t, strcmp(stage_received(st, pod(st, 1)), sent) == 0, "another request");
        check(t, strcmp(st->leases[1].avoid, t->reused ? "" : "web-0") == 0, "avoid");
        stage_write(st, pod(st, 1), EMPTY);
        check(t, strcmp(stage_received(st, client), EMPTY) == 0, "the answer");
        assert_release(st, 1, RELEASE_KEEP);
    } else {
        check(t, strncmp(stage_received(st, client), "HTTP/1.1 502 ", 13) == 0,
              "not 502");
        check(t, client->end.verdict == V_OPEN, "closed");
    }
    for (size_t i = 0; i < st->lease_count; i++)
        drop(st, &st->leases[i].pod);
    drop(st, &client);
    st->client_count = 0;
}

/* Method x verdict x how much of the body is held x whether the connection was kept. */
static void only_requests_that_are_safe_to_repeat_are_retried(void **state)
{
    struct stage *st = *state;
    static const size_t bodies[] = { 0, 1, 19999, 20000, 20001 };

    st->config->replay_buffer = 20000;
    for (size_t m = 0; m < ARRAY_LEN(methods); m++)
        for (size_t v = 0; v < ARRAY_LEN(verdicts); v++)
            for (size_t b = 0; b < ARRAY_LEN(bodies); b++)
                for (int bits = 0; bits < 4; bits++)
                    try(st, &(struct trial){ methods[m], verdicts[v], bodies[b], bits & 1,
                                             bits & 2 });
}

/* A refusal proves that nothing was delivered, so it permits more attempts than a
 * reset. */
static void retries_end_after_the_last_attempt(void **state)
{
    struct stage *st = *state;
    static const struct {
        enum verdict verdict;
        size_t attempts;
    } cases[] = {
        { V_REFUSED, 5 }, { V_TARGET_GONE, 5 }, { V_RESET, 3 }, { V_TRANSPORT_LOST, 8 }
    };

    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct stream *client = stage_client(st);
        size_t first = st->lease_count;

        stage_write(st, client, GET);
        for (size_t i = 0; i < cases[c].attempts; i++) {
            assert_int_equal(st->lease_count, first + i + 1);
            assert_int_equal(st->leases[first + i].repeatable, i < 2);
            assert_int_equal(st->leases[first + i].attempt, i);
            pod_ends(st, first + i, cases[c].verdict, "nobody listens there");
        }
        assert_int_equal(st->lease_count, first + cases[c].attempts);
        const char *output = stage_received(st, client);
        assert_non_null(strstr(output, "HTTP/1.1 502 Bad Gateway\r\n"));
        assert_non_null(strstr(output, "Port-forward failed for shop/web-"));
        assert_non_null(strstr(output, ": nobody listens there\n"));
        assert_non_null(st->leases[first + 1].avoid);
    }
}

/* A refused attempt does not count towards the limit of attempts that may have delivered
 * the request. */
static void a_refused_request_was_not_delivered(void **state)
{
    struct stage *st = *state;
    static const enum verdict ends[] = { V_REFUSED, V_TARGET_GONE, V_CLEAN, V_RESET,
                                         V_CLEAN };
    struct stream *client = stage_client(st);

    stage_write(st, client, GET);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        assert_int_equal(st->lease_count, i + 1);
        pod_ends(st, i, ends[i], NULL);
    }
    assert_int_equal(st->lease_count, ARRAY_LEN(ends));
    assert_non_null(strstr(stage_received(st, client), "HTTP/1.1 502 Bad Gateway\r\n"));
}

/* The kept part of the body is sent again, then the rest. */
static void the_part_of_a_body_that_has_arrived_is_repeated(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    const char *head = "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    AUTO_FREE char *whole = xasprintf("%s5\r\nhello\r\n0\r\n\r\n", head);

    stage_write(st, client, head);
    stage_write(st, client, "5\r\nhe");
    pod_ends(st, 0, V_TRANSPORT_LOST, NULL);
    stage_write(st, client, "l");
    pod_ends(st, 1, V_RESET, NULL);
    stage_write(st, client, "lo\r\n0\r\n\r\n");
    assert_received(st, pod(st, 2), whole);
    stage_write(st, pod(st, 2), EMPTY);
    assert_received(st, client, EMPTY);
    assert_release(st, 2, RELEASE_KEEP);
}

/* The kept bytes are sent in parts when the second pod reads slowly. */
static void a_body_larger_than_a_queue_is_repeated(void **state)
{
    struct stage *st = *state;
    enum { BODY = 50000 };
    AUTO_FREE char *body = xcalloc(1, BODY);
    AUTO_FREE char *seen = xcalloc(1, BODY * 2);
    size_t len = 0;

    st->config->replay_buffer = 65536;
    struct stream *client = stage_client(st);
    for (size_t i = 0; i < BODY; i++)
        body[i] = (char)('a' + i % 23);
    stage_write(st, client, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n");
    stage_write_bytes(st, client, body, BODY);
    st->limit = 5000;
    pod_ends(st, 0, V_REFUSED, NULL);
    for (size_t n = 1; n;) {
        assert_true(st->leases[1].ours->out.len <= 5000);
        n = stage_read(st, pod(st, 1), seen + len, 3000);
        len += n;
    }
    assert_memory_equal(seen + len - BODY, body, BODY);
    stage_write(st, pod(st, 1), EMPTY);
    assert_release(st, 1, RELEASE_KEEP);
}

/* Bytes on a connection before a request are not an answer to it. */
static void a_kept_connection_that_ended_or_sent_bytes_is_replaced(void **state)
{
    struct stage *st = *state;
    const char *post = "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi";
    struct stream *client = stage_client(st);

    st->script[0].result = ERR_AGAIN;
    stage_write(st, client, post);
    struct outcome ok = { .reused = true };
    for (int spoken = 0; spoken < 2; spoken++) {
        size_t i = st->lease_count - 1;
        st->script[i + 1].result = ERR_AGAIN;
        stage_prepare(st, i, &ok);
        if (spoken)
            bufq_write(&st->leases[i].ours->in, "HTTP/1.1 408 X\r\n\r\n", 18);
        else
            stream_end(st->leases[i].ours, V_CLEAN, NULL);
        stage_run(st);
        assert_release(st, i, RELEASE_ABORT);
        assert_int_equal(st->lease_count, i + 2);
    }
    stage_deliver(st, 2, &(struct outcome){ 0 });
    assert_received(st, pod(st, 2), post);
    stage_write(st, pod(st, 2), EMPTY);
    assert_received(st, client, EMPTY);
}

static void a_lease_knows_whether_its_request_may_be_repeated(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *request;
        bool repeatable;
    } cases[] = {
        { GET, true },
        { "POST / HTTP/1.1\r\n" HOST "\r\n", false },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 65536\r\n\r\n", true },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", false },
        { "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        stage_write(st, stage_client(st), cases[i].request);
        assert_int_equal(st->lease_count, i + 1);
        assert_int_equal(st->leases[i].repeatable, cases[i].repeatable);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

/* --wait limits the waiting for all attempts together; the time in which pods work on the
 * request does not count. */
static void the_wait_covers_all_attempts(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    static const struct outcome held = { 0 };

    st->script[0] = st->script[1] = (struct outcome){ .result = ERR_AGAIN };
    stage_write(st, client, GET);
    assert_int_equal(st->leases[0].wait_ms, st->config->wait_ms);
    stage_pass(st, 6000);
    stage_deliver(st, 0, &held);
    stage_pass(st, 60000); /* the pod works for a minute, then its connection breaks */
    pod_ends(st, 0, V_RESET, "reset by peer");
    assert_int_equal(st->leases[1].wait_ms, st->config->wait_ms - 6000);
    stage_pass(st, 5000);
    stage_deliver(st, 1, &held);
    pod_ends(st, 1, V_RESET, "reset by peer");
    assert_int_equal(st->leases[2].wait_ms, 0);
    stage_write(st, pod(st, 2), EMPTY);
    assert_received(st, client, EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_requests_that_are_safe_to_repeat_are_retried),
        TEST(retries_end_after_the_last_attempt),
        TEST(a_refused_request_was_not_delivered),
        TEST(the_wait_covers_all_attempts),
        TEST(the_part_of_a_body_that_has_arrived_is_repeated),
        TEST(a_body_larger_than_a_queue_is_repeated),
        TEST(a_kept_connection_that_ended_or_sent_bytes_is_replaced),
        TEST(a_lease_knows_whether_its_request_may_be_repeated),
    };
    return cmocka_run_group_tests_name("session/repetition", tests, NULL, NULL);
}
