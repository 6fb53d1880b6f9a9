/* tests/session/account_test.c - requests in the log and in the metrics */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/own.h"
#include "captured_log.h"

#define HOST "Host: web.shop.svc\r\n"

static int setup(void **state)
{
    int failed = stage_setup(state);

    captured_log_begin();
    return failed;
}

static int teardown(void **state)
{
    int failed = stage_teardown(state);

    captured_log_end();
    return failed;
}

/* The value of a sample of /metrics. */
static long sample(const char *name)
{
    AUTO_FREE char *text = metrics_text();
    AUTO_FREE char *line = xasprintf("\n%s ", name);
    const char *at = strstr(text, line);

    if (!at)
        fail_msg("no sample %s", name);
    return strtol(at + strlen(line), NULL, 10);
}

static void a_request_is_logged_with_status_bytes_and_pod(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "POST /p?q HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    stage_write(st, pod(st, 0), "HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok");
    const char *lines = captured_log();
    assert_non_null(strstr(lines, " request method=POST host=web.shop.svc path=/p "
                                  "status=201 in=5 out=2 "));
    assert_null(strstr(lines, "?q"));
}

static void a_request_counts_once_in_every_metric(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    long requests = sample("kube_tunnel_requests_total{code=\"2xx\"}");
    long durations = sample("kube_tunnel_request_duration_seconds_count");
    long in = sample("kube_tunnel_body_bytes_total{direction=\"in\"}");
    long out = sample("kube_tunnel_body_bytes_total{direction=\"out\"}");

    stage_write(st, client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(sample("kube_tunnel_requests_total{code=\"2xx\"}"), requests + 1);
    assert_int_equal(sample("kube_tunnel_request_duration_seconds_count"), durations + 1);
    assert_int_equal(sample("kube_tunnel_body_bytes_total{direction=\"in\"}"), in + 5);
    assert_int_equal(sample("kube_tunnel_body_bytes_total{direction=\"out\"}"), out + 3);
}

static void a_client_that_leaves_before_an_answer_is_logged_as_499(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    long none = sample("kube_tunnel_requests_total{code=\"none\"}");

    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    drop(st, &client);
    assert_non_null(strstr(captured_log(), " status=499 in=0 out=0 "));
    assert_int_equal(sample("kube_tunnel_requests_total{code=\"none\"}"), none + 1);
}

static void a_client_that_leaves_before_a_request_is_not_counted(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    long durations;

    stage_serve(st);
    durations = sample("kube_tunnel_request_duration_seconds_count");
    stage_write(st, client, "GET / HT");
    drop(st, &client);
    assert_null(strstr(captured_log(), "request"));
    assert_int_equal(sample("kube_tunnel_request_duration_seconds_count"), durations);
}

static void a_malformed_request_is_logged_with_its_client_only(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client, "GET /secret HTTP/1.1\r\nHost : web.shop.svc\r\n\r\n");
    const char *lines = captured_log();
    assert_non_null(strstr(lines, " bad request status=400 client="));
    assert_null(strstr(lines, "secret"));
}

/* A page of status 500 and above is a warning; others are the client's own mistakes. */
static void only_a_failed_request_is_a_warning(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->script[0] = (struct outcome){ .result = ERR_NOT_FOUND, .why = "not found" };
    st->script[1] =
        (struct outcome){ .result = ERR_UNAVAILABLE, .why = "no pod is ready" };
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    const char *lines = captured_log();
    assert_non_null(strstr(lines, " status=404 "));
    assert_null(strstr(lines, "WARN"));
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    lines = captured_log();
    assert_non_null(strstr(lines, "WARN  serve s"));
    assert_non_null(strstr(lines, " request failed status=503 "));
}

static void a_retry_is_counted(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    long retries = sample("kube_tunnel_retries_total");

    st->script[0] = (struct outcome){ .reused = true };
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    pod_ends(st, 0, V_RESET, "reset");
    stage_write(st, pod(st, 1), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(sample("kube_tunnel_retries_total"), retries + 1);
}

#define LOST(when) sample("kube_tunnel_lost_requests_total{when=\"" when "\"}")

/* Not what is sent again, nor what the container refused, nor an answer that was reset. */
static void requests_that_were_lost_with_their_pod_are_counted_apart(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    long before = LOST("before"), within = LOST("within");

    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    pod_ends(st, 0, V_RESET, "reset");
    stage_write(st, pod(st, 1), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(LOST("before"), before);
    stage_write(st, client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    pod_ends(st, 2, V_TRANSPORT_LOST, "lost");
    assert_non_null(strstr(stage_received(st, client), "HTTP/1.1 502 "));
    assert_int_equal(LOST("before"), before + 1);
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    stage_write(st, pod(st, 3), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    pod_ends(st, 3, V_RESET, "reset");
    assert_int_equal(LOST("within"), within + 1);
    assert_int_equal(LOST("before"), before + 1);
}

static void bytes_of_a_raw_connection_are_counted(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);
    long in = sample("kube_tunnel_body_bytes_total{direction=\"in\"}");
    long out = sample("kube_tunnel_body_bytes_total{direction=\"out\"}");

    stage_write(st, client, "\x01hello");
    stage_write(st, pod(st, 0), "world wide");
    hang_up(st, client);
    pod_ends(st, 0, V_CLEAN, NULL);
    stage_received(st, client);
    stage_pass(st, 1000);
    assert_int_equal(sample("kube_tunnel_body_bytes_total{direction=\"in\"}"), in + 6);
    assert_int_equal(sample("kube_tunnel_body_bytes_total{direction=\"out\"}"), out + 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_logged_with_status_bytes_and_pod),
        TEST(a_request_counts_once_in_every_metric),
        TEST(a_client_that_leaves_before_an_answer_is_logged_as_499),
        TEST(a_client_that_leaves_before_a_request_is_not_counted),
        TEST(a_malformed_request_is_logged_with_its_client_only),
        TEST(only_a_failed_request_is_a_warning),
        TEST(a_retry_is_counted),
        TEST(requests_that_were_lost_with_their_pod_are_counted_apart),
        TEST(bytes_of_a_raw_connection_are_counted),
    };
    return cmocka_run_group_tests_name("session/account", tests, NULL, NULL);
}
