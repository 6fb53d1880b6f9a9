/* tests/session/refusals_test.c - requests that are refused and not sent to a pod */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

/* No byte of these reaches a pod; there is one response, and the connection ends. */
static void ambiguous_heads_are_refused_and_the_connection_closed(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : web.shop\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: web.shop.svc\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: web.shop.svc\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "A\rB: c\r\n\r\n", 400 },
        { "GET / HTTP/2.0\r\n" HOST "\r\n", 400 },
        { "GET /\r\n" HOST "\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil ",
          400 },
        { "POST / HTTP/1.1\r\n" HOST
          "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /evil ",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\nx", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\nx", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\nx", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nx",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400 },
        { "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Connection: Content-Length\r\n\r\n", 400 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream *client = stage_client(st);
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
        stage_write(st, client, cases[i].request);
        const char *output = stage_received(st, client);
        if (strncmp(output, line, strlen(line)) != 0 || strstr(output + 1, "HTTP/1.1 "))
            fail_msg("%s\nwas answered\n%s", cases[i].request, output);
        assert_non_null(strstr(output, "\r\nConnection: close\r\n"));
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
    assert_int_equal(st->lease_count, 0);
}

/* A malformed chunk is noticed after the head was sent; the bytes after it are not
 * sent. */
static void malformed_chunks_are_refused(void **state)
{
    struct stage *st = *state;
    static const char *const bodies[] = {
        "fffffffffffffffff\r\n", "5 \r\nhello\r\n", "5\nhello\n", "x\r\n",
        "5\r\nhelloX\r\n",       "0\r\nA: b\n\r\n", "-1\r\n",     "0\r\n x\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct stream *client = stage_client(st);
        stage_write(st, client,
                    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
        stage_write(st, client, bodies[i]);
        const char *output = stage_received(st, client);
        if (strncmp(output, "HTTP/1.1 400 Bad Request\r\n", 26) != 0)
            fail_msg("%s\nwas answered\n%s", bodies[i], output);
        assert_release(st, i, RELEASE_ABORT);
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
}

static void hosts_outside_the_cluster_are_refused(void **state)
{
    struct stage *st = *state;
    static const char *const hosts[] = {
        "",
        "web",
        "a..b.svc.cluster.local",
        "-web.shop",
        "web.shop:x",
        "web.shop:0",
        "web.shop:65536",
        "web shop.svc",
        "[::1",
        "web.shop.svc.example.org",
        "user@web.shop",
        "evil.example.org",
    };
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        AUTO_FREE char *request =
            xasprintf("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        stage_write(st, client, request);
        const char *output = stage_received(st, client);
        if (strncmp(output, "HTTP/1.1 400 ", 13) != 0 ||
            strncmp(body_of(output), "Invalid host\n", 13) != 0)
            fail_msg("%s\nwas answered\n%s", request, output);
    }
    assert_int_equal(client->end.verdict, V_OPEN);
    assert_int_equal(st->lease_count, 0);
}

static void unsupported_targets_are_refused(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *request, *expected;
    } cases[] = {
        { "GET https://web.shop/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 " },
        { "GET web.shop HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 " },
        { "GET * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 " },
        { "GET http://user:secret@web.shop/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 " },
        { "GET http://10.1.2.3/healthz HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 502 " },
        { "GET http://localhost:9999/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 502 " },
    };
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        stage_write(st, client, cases[i].request);
        if (strncmp(stage_received(st, client), cases[i].expected,
                    strlen(cases[i].expected)) != 0)
            fail_msg("%s\nwas answered\n%s", cases[i].request, st->received);
    }
    assert_int_equal(st->lease_count, 0);
}

/* A client of CONNECT sends bytes for the far end, not requests. */
static void nothing_after_a_refused_connect_is_executed(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "CONNECT www.example.com:80 HTTP/1.1\r\nHost: web.shop\r\n\r\n" GET);
    const char *output = stage_received(st, client);
    assert_memory_equal(output, "HTTP/1.1 502 Bad Gateway\r\n", 26);
    assert_non_null(strstr(output, "\r\nConnection: close\r\n"));
    assert_int_equal(client->end.verdict, V_CLEAN);
    assert_int_equal(st->lease_count, 0);
}

static void heads_beyond_the_limit_are_refused(void **state)
{
    struct stage *st = *state;
    const size_t max = st->config->max_head_size;
    const char *start = "GET / HTTP/1.1\r\n" HOST "X: ";

    for (size_t len = max - 1; len <= max + 1; len++) {
        struct stream *client = stage_client(st);
        AUTO_FREE char *head = xcalloc(1, len + 1);
        memset(head, 'x', len);
        memcpy(head, start, strlen(start));
        memcpy(head + len - 4, "\r\n\r\n", 4);
        st->limit = 4 * max;
        size_t before = st->lease_count;
        stage_write(st, client, head);
        if (len <= max) {
            assert_int_equal(st->lease_count, before + 1);
            assert_received(st, pod(st, before), head);
        } else {
            assert_int_equal(st->lease_count, before);
            assert_memory_equal(stage_received(st, client), "HTTP/1.1 431 ", 13);
            assert_int_equal(client->end.verdict, V_CLEAN);
        }
    }
    AUTO_FREE char *endless = xcalloc(1, 100001);
    memset(endless, 'x', 100000);
    struct stream *client = stage_client(st);
    stage_write(st, client, endless);
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 431 ", 13);
}

static char *answer_head_of(size_t len)
{
    const char *start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
    char *head = xcalloc(1, len + 1);

    memset(head, 'x', len);
    memcpy(head, start, strlen(start));
    memcpy(head + len - 4, "\r\n\r\n", 4);
    return head;
}

static void heads_of_answers_beyond_the_limit_are_refused(void **state)
{
    struct stage *st = *state;
    const size_t max = st->config->max_head_size;

    st->limit = 4 * max;
    for (size_t len = max - 1; len <= max + 1; len++) {
        struct stream *client = stage_client(st);
        AUTO_FREE char *head = answer_head_of(len);
        size_t i = st->lease_count;
        stage_write(st, client, GET);
        stage_write(st, pod(st, i), head);
        if (len <= max) {
            assert_received(st, client, head);
            assert_release(st, i, RELEASE_KEEP);
        } else {
            assert_memory_equal(stage_received(st, client), "HTTP/1.1 502 ", 13);
            assert_release(st, i, RELEASE_ABORT);
        }
    }
}

/* Heads up to the largest setting are accepted, although the queue of a pod's stream
 * holds only 63 KiB. */
static void heads_of_answers_beyond_a_queue_are_refused(void **state)
{
    struct stage *st = *state;
    static const size_t sizes[] = { 1024, 65536, 262144 };

    st->limit = 65280;
    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        size_t len = sizes[i / 2] + i % 2, output = 0;
        AUTO_FREE char *head = answer_head_of(len);
        st->config->max_head_size = sizes[i / 2];
        struct stream *client = stage_client(st);
        client->in.limit = 2 * len;
        stage_write(st, client, GET);
        while (output < len && !st->leases[i].returned) {
            output += bufq_write(&pod(st, i)->out, head + output, len - output);
            stream_update(pod(st, i));
            stage_run(st);
        }
        if (i % 2 == 0) {
            assert_received(st, client, head);
            assert_release(st, i, RELEASE_KEEP);
        } else {
            assert_memory_equal(stage_received(st, client), "HTTP/1.1 502 ", 13);
            assert_release(st, i, RELEASE_ABORT);
        }
    }
}

static void large_head_that_ends_early_is_not_an_answer(void **state)
{
    struct stage *st = *state;
    AUTO_FREE char *head = answer_head_of(50000);

    st->limit = 65280;
    struct stream *client = stage_client(st);
    stage_write(st, client, GET);
    stage_write_bytes(st, pod(st, 0), head, 49000);
    hang_up(st, pod(st, 0));
    const char *output = stage_received(st, client);
    assert_memory_equal(output, "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(output, "it ended in the middle of its head"));
}

static char *head_with_fields(const char *first_line, size_t count)
{
    AUTO_FREE char *fields = xcalloc(count, 8);

    for (size_t i = 0; i < count; i++)
        memcpy(fields + 6 * i, "A: b\r\n", 6);
    return xasprintf("%s%s\r\n", first_line, fields);
}

static void heads_with_too_many_fields_are_refused(void **state)
{
    struct stage *st = *state;
    const size_t max = 300;

    st->config->max_head_fields = 300;
    for (size_t n = max - 1; n <= max + 1; n++) {
        struct stream *client = stage_client(st);
        size_t i = st->lease_count;
        AUTO_FREE char *question = head_with_fields("GET / HTTP/1.1\r\n" HOST, n - 1);
        AUTO_FREE char *answer =
            head_with_fields("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", n - 1);
        stage_write(st, client, question);
        if (n > max) {
            assert_int_equal(st->lease_count, i);
            assert_memory_equal(stage_received(st, client), "HTTP/1.1 431 ", 13);
            client = stage_client(st);
            stage_write(st, client, GET);
        } else {
            assert_received(st, pod(st, i), question);
        }
        stage_write(st, pod(st, i), answer);
        if (n > max)
            assert_memory_equal(stage_received(st, client), "HTTP/1.1 502 ", 13);
        else
            assert_received(st, client, answer);
    }
}

static void answers_that_are_not_http_are_a_502(void **state)
{
    struct stage *st = *state;
    static const char *const answers[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "220 mail ESMTP\r\n",
        "ERROR\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    };
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        stage_write(st, client, GET);
        stage_write(st, pod(st, i), answers[i]);
        const char *output = stage_received(st, client);
        assert_memory_equal(output, "HTTP/1.1 502 Bad Gateway\r\n", 26);
        assert_non_null(strstr(output, "Port-forward failed for shop/web-"));
        assert_release(st, i, RELEASE_ABORT);
    }
    stage_write(st, client, GET);
    stage_write(st, pod(st, ARRAY_LEN(answers)), "HTTP/1.1 200 OK\r\nContent-Le");
    hang_up(st, pod(st, ARRAY_LEN(answers)));
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 502 Bad Gateway\r\n", 26);
}

static void the_error_page_names_why_there_is_no_pod(void **state)
{
    struct stage *st = *state;
    static const struct {
        struct outcome outcome;
        int status;
        const char *first, *also;
    } cases[] = {
        { { ERR_NOT_FOUND, .why = "services \"web\" not found" },
          404,
          "Failed to get service shop/web: services \"web\" not found\n",
          "kubectl -n shop get services" },
        { { ERR_UNAVAILABLE, .why = "1 pod matches: web-0 Pending" },
          503,
          "No running pod for web/shop\n",
          "1 pod matches: web-0 Pending" },
        { { ERR_NO_PORT,
            .why = "services \"web\" has no port 81: it declares 80 (http)" },
          404,
          "Failed to get service shop/web: services \"web\" has no port 81: it declares "
          "80 (http)\n",
          "" },
        { { ERR_FORBIDDEN, .why = "services is forbidden: User \"dev\" cannot list",
            .verb = "list", .resource = "services" },
          502,
          "Failed to get service shop/web: services is forbidden: User \"dev\" cannot "
          "list\n",
          "kind: Role\nmetadata:\n  name: \"kube-tunnel\"\n  namespace: \"shop\"\n"
          "rules:\n  - apiGroups: [\"\"]\n    resources: [\"services\"]\n" },
        { { ERR_FORBIDDEN, .why = "no", .verb = "watch", .resource = "endpointslices" },
          502,
          "Failed to get service shop/web: no\n",
          "apiGroups: [\"discovery.k8s.io\"]" },
        { { ERR_FORBIDDEN, .dialling = true, .why = "pods \"web-0\" is forbidden",
            .verb = "create", .resource = "pods/portforward" },
          502,
          "Port-forward failed for shop/web-5: pods \"web-0\" is forbidden\n",
          "resources: [\"pods/portforward\"]" },
        { { ERR_UNAUTHORIZED, .why = "Unauthorized" },
          502,
          "Failed to get service shop/web: Unauthorized\n",
          "401" },
        { { ERR_CONNECT, .why = "127.0.0.1:6444: connection refused" },
          502,
          "Failed to get service shop/web: 127.0.0.1:6444: connection refused\n",
          "" },
        { { ERR_REFUSED, .dialling = true, .why = "connection refused" },
          502,
          "Port-forward failed for shop/web-8: connection refused\n",
          "" },
        { { ERR_TIMEOUT, .dialling = true },
          504,
          "Port-forward failed for shop/web-9: timed out\n",
          "" },
        { { ERR_TIMEOUT }, 504, "Failed to get service shop/web: timed out\n", "" },
        { { ERR_THROTTLED, .why = "too many requests", .retry_after = 7 },
          503,
          "Failed to get service shop/web: too many requests\n",
          "" },
    };
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
        st->script[i] = cases[i].outcome;
        stage_write(st, client,
                    "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
        const char *output = stage_received(st, client), *first = cases[i].first;
        bool right = strncmp(output, line, strlen(line)) == 0 &&
                     strncmp(body_of(output), first, strlen(first)) == 0 &&
                     strstr(output, cases[i].also) &&
                     strstr(output, "Cache-Control: no-store\r\n") &&
                     (strstr(output, "Retry-After: 7\r\n") != NULL) ==
                         (cases[i].outcome.retry_after == 7);
        if (!right)
            fail_msg("case %zu was answered\n%s", i, output);
    }
    assert_int_equal(client->end.verdict, V_OPEN);
}

static void errors_to_head_requests_have_no_body(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->script[0] = (struct outcome){ ERR_UNAVAILABLE };
    stage_write(st, client, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
    const char *output = stage_received(st, client);
    assert_non_null(strstr(output, "Content-Length: "));
    assert_string_equal(body_of(output), "");
}

static void own_pages_are_served_on_own_names_only(void **state)
{
    struct stage *st = *state;
    static const char *const own[] = { "localhost", "127.0.0.1:8080", "[::1]",
                                       "10.0.0.7" };
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        AUTO_FREE char *request =
            xasprintf("GET /healthz?x HTTP/1.1\r\nHost: %s\r\n\r\n", own[i]);
        stage_write(st, client, request);
        assert_string_equal(body_of(stage_received(st, client)), "own GET /healthz\n");
    }
    assert_int_equal(st->lease_count, 0);
    stage_write(st, client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    assert_received(st, pod(st, 0), "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
}

static void the_port_of_the_listener_counts_as_no_port(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *request;
        uint16_t port;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: web.shop.svc:8080\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: web.shop.svc:81\r\n\r\n", 81 },
        { "GET http://web.shop:8080/ HTTP/1.1\r\n" HOST "\r\n", 8080 },
        { "GET http://web.shop/ HTTP/1.1\r\nHost: web.shop.svc:81\r\n\r\n", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        stage_write(st, stage_client(st), cases[i].request);
        assert_int_equal(st->lease_count, i + 1);
        assert_int_equal(st->leases[i].port, cases[i].port);
        assert_string_equal(st->leases[i].route, "shop/web");
    }
}

static void other_protocols_are_refused_in_their_own_format(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *sent;
        size_t len;
        const char *expected;
        size_t expected_len;
    } cases[] = {
        /* the record ends within the hello, and another kind of record follows */
        { "\x16\x03\x01\x00\x05\x01\x00\x00\x20\x03\x15", 11,
          "\x15\x03\x03\x00\x02\x02\x28", 7 },
        { "\5\1\1", 3, "\5\xff", 2 }, /* GSSAPI only */
        { "\4\1\0\x50\x7f\0\0\1\0", 9, "\0\x5b\0\0\0\0\0\0", 8 },
        { "\0\0\0\x8", 4, "HTTP/1.1 400 ", 13 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream *client = stage_client(st);
        char output[1024];
        for (size_t at = 0; at < cases[i].len; at++)
            stage_write_bytes(st, client, cases[i].sent + at, 1);
        size_t n = stage_read(st, client, output, sizeof(output) - 1);
        assert_true(n >= cases[i].expected_len);
        assert_memory_equal(output, cases[i].expected, cases[i].expected_len);
        output[n] = '\0';
        if (output[0] == 'H')
            assert_non_null(strstr(output, "\r\nConnection: close\r\n"));
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
}

static void requests_of_foreign_pages_are_refused(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "POST / HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n");
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 403 ", 13);
    stage_write(st, client,
                "GET / HTTP/1.1\r\n" HOST
                "Origin: https://evil.example\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\n\r\n");
    assert_memory_equal(stage_received(st, client), "HTTP/1.1 403 ", 13);
    assert_null(strstr(st->received, "Access-Control"));
    assert_int_equal(st->lease_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ambiguous_heads_are_refused_and_the_connection_closed),
        TEST(malformed_chunks_are_refused),
        TEST(hosts_outside_the_cluster_are_refused),
        TEST(unsupported_targets_are_refused),
        TEST(nothing_after_a_refused_connect_is_executed),
        TEST(heads_beyond_the_limit_are_refused),
        TEST(heads_of_answers_beyond_the_limit_are_refused),
        TEST(heads_of_answers_beyond_a_queue_are_refused),
        TEST(large_head_that_ends_early_is_not_an_answer),
        TEST(heads_with_too_many_fields_are_refused),
        TEST(answers_that_are_not_http_are_a_502),
        TEST(the_error_page_names_why_there_is_no_pod),
        TEST(errors_to_head_requests_have_no_body),
        TEST(own_pages_are_served_on_own_names_only),
        TEST(the_port_of_the_listener_counts_as_no_port),
        TEST(other_protocols_are_refused_in_their_own_format),
        TEST(requests_of_foreign_pages_are_refused),
    };
    return cmocka_run_group_tests_name("session/refusals", tests, NULL, NULL);
}
