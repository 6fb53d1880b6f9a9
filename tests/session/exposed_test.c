/* tests/session/exposed_test.c - HTTP and other protocols through an exposed port
 *
 * A client that begins with an HTTP/1 request line gets a session, on the stream that was
 * leased when it connected; other bytes are passed on unchanged, at once.
 */
#include "stage.h"

#include "base/own.h"

#define GET "GET /a HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define FOREIGN                                                                          \
    "POST /evil HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"         \
    "Content-Length: 0\r\n\r\n"

#define HOLD_MS 500
#define HOLD_WORD_MS 50

static void write_bytewise(struct stage *st, struct stream *to, const char *text)
{
    for (; *text; text++)
        stage_write_bytes(st, to, text, 1);
}

static void assert_answered(struct stage *st, struct stream *client, const char *start)
{
    const char *received = stage_received(st, client);
    if (!str_starts(str_of(received), str_of(start)))
        fail_msg("not \"%s\" but \"%s\"", start, received);
}

/* Host of a client that is no browser is not checked, and is passed on to the pod. */
static void first_request_is_sent_on_the_stream_leased_at_accept(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    assert_int_equal(st->lease_count, 1);
    stage_write(st, client, GET);
    assert_received(st, pod(st, 0), GET);
    stage_write(st, pod(st, 0), ANSWER);
    assert_received(st, client, ANSWER);
    assert_int_equal(st->lease_count, 1);
    assert_release(st, 0, RELEASE_KEEP);
}

static void request_may_come_before_the_lease_and_byte_by_byte(void **state)
{
    struct stage *st = *state;
    st->script[0].result = ERR_AGAIN;
    struct stream *client = stage_raw_client(st);

    write_bytewise(st, client, GET);
    stage_deliver(st, 0, &(struct outcome){ .result = OK });
    assert_received(st, pod(st, 0), GET);
    stage_write(st, pod(st, 0), ANSWER);
    assert_received(st, client, ANSWER);
    assert_int_equal(st->lease_count, 1);
}

static void failed_lease_is_a_page_for_http_only(void **state)
{
    struct stage *st = *state;
    st->script[0].result = st->script[1].result = ERR_AGAIN;
    struct stream *http = stage_raw_client(st), *raw = stage_raw_client(st);

    stage_write(st, http, GET);
    stage_write(st, raw, "EHLO me\r\n");
    for (size_t i = 0; i < 2; i++)
        stage_deliver(st, i, &(struct outcome){ .result = ERR_UNAVAILABLE });
    assert_answered(st, http, "HTTP/1.1 503 ");
    assert_received(st, raw, "");
    assert_int_equal(raw->end.verdict, V_RESET);
}

static void play_get_then_foreign_post(struct stage *st, bool bytewise, bool pipelined)
{
    struct stream *client = stage_raw_client(st);
    void (*put)(struct stage *, struct stream *, const char *) =
        bytewise ? write_bytewise : stage_write;
    size_t first = st->lease_count - 1;

    put(st, client, pipelined ? GET FOREIGN : GET);
    assert_received(st, pod(st, first), GET);
    stage_write(st, pod(st, first), ANSWER);
    if (!pipelined) {
        assert_received(st, client, ANSWER);
        put(st, client, FOREIGN);
        assert_answered(st, client, "HTTP/1.1 403 Forbidden\r\n");
    } else {
        assert_answered(st, client, ANSWER "HTTP/1.1 403 Forbidden\r\n");
    }
    assert_int_equal(st->lease_count, first + 1);
}

static void foreign_post_after_a_harmless_get_is_refused(void **state)
{
    struct stage *st = *state;

    for (int i = 0; i < 4; i++)
        play_get_then_foreign_post(st, i & 1, i & 2);
}

/* The request is split in two at each byte. */
static void foreign_post_is_refused_however_it_is_split(void **state)
{
    struct stage *st = *state;
    const char text[] = FOREIGN;

    for (size_t cut = 1; cut < sizeof(text) - 1 && cut < CLIENTS_MAX; cut++) {
        struct stream *client = stage_raw_client(st);
        stage_write_bytes(st, client, text, cut);
        stage_write_bytes(st, client, text + cut, sizeof(text) - 1 - cut);
        assert_answered(st, client, "HTTP/1.1 403 Forbidden\r\n");
        assert_received(st, client, "");
        assert_release(st, st->lease_count - 1,
                       RELEASE_CLOSE); /* its tunnel can be used again */
    }
}

static void option_raw_leaves_bytes_untouched(void **state)
{
    struct stage *st = *state;
    st->raw = true;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, FOREIGN);
    assert_received(st, pod(st, 0), FOREIGN);
}

static const char *const others[] = {
    "\x16\x03\x01\x02", /* TLS */
    "\x05\x01",         /* SOCKS: binary, with a length */
    "SSH-2.0-OpenSSH_9.2\r\n",
    "EHLO me\r\n",
    "*1\r\n$4\r\nPING\r\n", /* Redis */
    "PING\r\n",
    "get key\r\n",                     /* memcached */
    "CONNECT {\"verbose\":false}\r\n", /* NATS */
    "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "OPTIONS rtsp://x RTSP/1.0\r\n",
    "INVITE sip:a@b SIP/2.0\r\n",
    "GET / HTTP/1.1\n", /* LF instead of CRLF */
    "GET  / HTTP/1.1\r\n",
    "GET /\r\n", /* HTTP/0.9 */
    "\r\nGET / HTTP/1.1\r\n",
    "{\"jsonrpc\":\"2.0\"}",
    "AMQP\x01",
};

static void other_protocols_are_passed_on_at_once(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct stream *client = stage_raw_client(st);
        stage_write(st, client, others[i]);
        if (strcmp(stage_received(st, pod(st, i)), others[i]) != 0)
            fail_msg("\"%s\": \"%s\"", others[i], st->received);
    }
    assert_int_equal(st->lease_count, ARRAY_LEN(others));
}

/* ZooKeeper's commands are words without a line end, and could be the beginning of a
 * request. */
static void bare_word_is_held_for_50_ms(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "ruok");
    stage_pass(st, HOLD_WORD_MS - 1);
    assert_received(st, pod(st, 0), "");
    stage_pass(st, 1);
    assert_received(st, pod(st, 0), "ruok");
    stage_write(st, pod(st, 0), "imok");
    assert_received(st, client, "imok");
}

static void word_and_blank_are_held_for_half_a_second(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "set x");
    stage_pass(st, HOLD_MS - 1);
    assert_received(st, pod(st, 0), "");
    stage_pass(st, 1);
    assert_received(st, pod(st, 0), "set x");
}

/* A web page chooses the length of the method, so the rest of the request line may arrive
 * late. */
static void long_word_is_held_for_half_a_second(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);
    char word[66] = { 0 };

    memset(word, 'M', sizeof(word) - 1);
    stage_write(st, client, word);
    stage_pass(st, HOLD_MS - 1);
    assert_received(st, pod(st, 0), "");
    stage_pass(st, 1);
    assert_received(st, pod(st, 0), word);
}

static void end_of_input_ends_the_wait(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "ruok");
    hang_up(st, client);
    assert_received(st, pod(st, 0), "ruok");
}

static void bytes_of_a_server_that_sends_first_are_passed_on_at_once(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, pod(st, 0), "220 ready\r\n");
    assert_received(st, client, "220 ready\r\n");
    stage_write(st, client, "EH");
    stage_write(st, pod(st, 0), "220 hurry\r\n");
    assert_received(st, client, "220 hurry\r\n");
    stage_write(st, client, "LO me\r\n");
    assert_received(st, pod(st, 0), "EHLO me\r\n");
}

/* A web page's POST to a mail server, which would execute commands in the body. */
static void http_request_after_a_greeting_is_reset(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, pod(st, 0), "220 ready\r\n");
    stage_write(st, client, FOREIGN);
    assert_int_equal(client->end.verdict, V_RESET);
    assert_received(st, pod(st, 0), "");
}

/* A request line that is longer than the queues does not bypass the checks. */
static void endless_request_line_is_refused(void **state)
{
    struct stage *st = *state;
    st->config->max_head_size = 4096;
    struct stream *client = stage_raw_client(st);
    char part[1001];

    memset(part, 'a', sizeof(part) - 1);
    part[sizeof(part) - 1] = '\0';
    stage_write(st, client, "GET /");
    for (int i = 0; i < 5; i++)
        stage_write(st, client, part);
    assert_answered(st, client, "HTTP/1.1 431 ");
    assert_received(st, client, "");
}

static void websocket_switches_on_the_leased_stream(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client,
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert_answered(st, pod(st, 0), "GET /ws HTTP/1.1\r\n");
    stage_write(st, pod(st, 0),
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\n\r\nfrom pod");
    assert_non_null(strstr(stage_received(st, client), "\r\n\r\nfrom pod"));
    stage_write(st, client, "from client");
    assert_received(st, pod(st, 0), "from client");
    assert_int_equal(st->lease_count, 1);
}

static void http10_without_host_gets_one(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "GET / HTTP/1.0\r\n\r\n");
    assert_received(st, pod(st, 0), "GET / HTTP/1.1\r\nHost: web.shop\r\n\r\n");
    stage_write(st, pod(st, 0), "HTTP/1.0 200 OK\r\n\r\nall");
    pod_ends(st, 0, V_CLEAN, NULL);
    assert_non_null(strstr(stage_received(st, client), "\r\n\r\nall"));
    assert_int_equal(client->end.verdict, V_CLEAN);
}

/* If the pod has closed the leased stream while the client was silent, the request gets
 * another. */
static void request_is_sent_elsewhere_when_the_leased_stream_has_ended(void **state)
{
    struct stage *st = *state;
    st->script[0].result = ERR_AGAIN;
    struct stream *client = stage_raw_client(st);

    stage_write(st, client, "GET /a HTTP/1.1\r\nHost: a\r\n");
    stage_deliver(st, 0, &(struct outcome){ .result = OK });
    pod_ends(st, 0, V_REFUSED, "connection refused");
    stage_write(st, client, "\r\n");
    assert_int_equal(st->lease_count, 2);
    assert_received(st, pod(st, 1), "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
}

#define BROWSER "User-Agent: Mozilla/5.0 (X11)\r\n"

static const struct {
    const char *host, *fields;
    bool any_host;
    int status;
} hosts[] = {
    { "app.example.com", "", false, 200 },
    { "app.example.com", "User-Agent: curl/8.0\r\n", false, 200 },
    { "app.example.com", BROWSER, false, 403 },
    { "app.example.com", "Origin: http://app.example.com\r\n", false, 403 },
    { "app.example.com", "Sec-Fetch-Mode: cors\r\n", false, 403 },
    { "app.example.com", "sec-fetch-something: x\r\n", false, 403 },
    { "app.example.com", BROWSER, true, 200 },
    { "listed.example:8080", BROWSER, false, 200 },
    { "localhost:8080", BROWSER, false, 200 },
    { "127.0.0.1:8080", BROWSER, false, 200 },
    { "[::1]:8080", BROWSER, false, 200 },
    { "web.shop.localhost", BROWSER, false, 200 },
    { "web.shop.svc.cluster.local:80", BROWSER, false, 200 },
    { "web-0.web.shop.svc", BROWSER, false, 200 },
    { "web.shop", BROWSER, false, 403 }, /* web.shop may be a domain on the internet */
    { "web.shop", "", false, 200 },
    { "web.other.localhost", BROWSER, false, 403 },
    { "api.shop.localhost", BROWSER, false, 403 },
    { "web-0.shop.pod.localhost", BROWSER, false, 403 },
    { "x.localhost", BROWSER, false, 403 },
    { "192.168.0.9", BROWSER, false, 403 },
    { "localhost:8080", BROWSER "Origin: http://localhost:3000\r\n", false, 200 },
    { "localhost:8080", BROWSER "Sec-Fetch-Site: cross-site\r\n", false, 403 },
};

static void browsers_need_a_host_that_is_ours(void **state)
{
    struct stage *st = *state;
    char *allowed[] = { "listed.example" };
    struct string_list nothing = { 0 };

    st->config->allow_host = (struct string_list){ allowed, 1 };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        AUTO_FREE char *text = xasprintf("GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                                         hosts[i].host, hosts[i].fields);
        st->any_host = hosts[i].any_host;
        struct stream *client = stage_raw_client(st);
        stage_write(st, client, text);
        if (hosts[i].status == 200 && strcmp(stage_received(st, pod(st, i)), text) != 0)
            fail_msg("row %zu: %s", i, st->received);
        if (hosts[i].status == 403)
            assert_answered(st, client, "HTTP/1.1 403 Forbidden\r\n");
    }
    st->config->allow_host = nothing;
}

/* Whatever the name or the listener was. */
static void closed_namespace_gets_no_lease(void **state)
{
    struct stage *st = *state;
    char *denied[] = { "shop" };
    struct string_list nothing = { 0 };

    st->config->deny_namespace = (struct string_list){ denied, 1 };
    struct stream *raw = stage_raw_client(st), *http = stage_client(st);
    stage_write(st, http, "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n");
    assert_answered(st, http, "HTTP/1.1 403 Forbidden\r\n");
    assert_int_equal(raw->end.verdict, V_RESET);
    assert_int_equal(st->lease_count, 0);
    st->config->deny_namespace = nothing;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(first_request_is_sent_on_the_stream_leased_at_accept),
        CASE(request_may_come_before_the_lease_and_byte_by_byte),
        CASE(failed_lease_is_a_page_for_http_only),
        CASE(foreign_post_after_a_harmless_get_is_refused),
        CASE(foreign_post_is_refused_however_it_is_split),
        CASE(option_raw_leaves_bytes_untouched),
        CASE(other_protocols_are_passed_on_at_once),
        CASE(bare_word_is_held_for_50_ms),
        CASE(word_and_blank_are_held_for_half_a_second),
        CASE(long_word_is_held_for_half_a_second),
        CASE(end_of_input_ends_the_wait),
        CASE(bytes_of_a_server_that_sends_first_are_passed_on_at_once),
        CASE(http_request_after_a_greeting_is_reset),
        CASE(endless_request_line_is_refused),
        CASE(websocket_switches_on_the_leased_stream),
        CASE(http10_without_host_gets_one),
        CASE(request_is_sent_elsewhere_when_the_leased_stream_has_ended),
        CASE(browsers_need_a_host_that_is_ours),
        CASE(closed_namespace_gets_no_lease),
    };
    return cmocka_run_group_tests_name("serve/exposed", tests, NULL, NULL);
}
