/* tests/unit/net/transfer_test.c - transfers, connecting and proxies on loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_server.h"
#include "net/connecting.h"
#include "net/proxy.h"
#include "net/transfer.h"

struct bench {
    struct loop *loop;
    struct transfers *transfers;
    struct http_server *server;
    char seen[REQUEST_MAX]; /* the last request, read after the answer came */
    char url[64];
};

static void bench_open(struct bench *b, serve_fn *serve)
{
    b->loop = loop_create();
    b->transfers = transfers_create(b->loop);
    b->server = http_server_create(serve, b);
    snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%u/x",
             http_server_port(b->server));
}

static void bench_close(struct bench *b)
{
    transfers_destroy(b->transfers);
    http_server_destroy(b->server);
    loop_destroy(b->loop);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#define PATIENCE_MS 20000 /* for what comes at once, on whatever machine */
/* Silence that is an error.  The server's thread may wait that long for a processor. */
#define STALL_MS 2000

static uint64_t now(const struct bench *b)
{
    return loop_sched(b->loop)->now;
}

static void wait_for(struct bench *b, const enum err *result)
{
    uint64_t until = now(b) + PATIENCE_MS;

    while (*result == ERR_AGAIN && now(b) < until)
        loop_run_once(b->loop, 25);
}

static struct transfer *get(struct bench *b, uint64_t timeout_ms, uint64_t stall_ms)
{
    const char *const headers[] = { "Accept: application/json", NULL };
    struct transfer_request r = { .method = "GET",
                                  .url = b->url,
                                  .headers = headers,
                                  .timeout_ms = timeout_ms,
                                  .stall_ms = stall_ms,
                                  .body_limit = 65536 };
    return transfer_open(b->transfers, &r, NULL);
}

static void assert_body(struct transfer *x, const char *text)
{
    char got[256] = "";
    got[bufq_read(&x->body, got, sizeof(got) - 1)] = '\0';
    assert_string_equal(got, text);
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void sends_hello(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    while (http_request(fd, b->seen))
        http_answer(fd, 200, "", "hello");
}

static void status_and_body_are_returned(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_hello);

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->result, OK);
    assert_int_equal(x->status, 200);
    assert_body(x, "hello");
    assert_contains(b.seen, "GET /x HTTP/1.1\r\n");
    assert_contains(b.seen, "\r\nAccept: application/json\r\n");
    assert_null(strcasestr(b.seen, "accept-encoding"));
    assert_null(strcasestr(b.seen, "user-agent"));
    transfer_close(x);
    bench_close(&b);
}

/* A watch with a late head and no body. */
static void is_slow_to_watch(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;

    if (nth > 0) {
        sends_hello(fd, nth, owner);
        return;
    }
    http_request(fd, b->seen);
    usleep(300000);
    http_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_request(fd, b->seen);
}

/* curl would wait for the watch to show whether the server uses HTTP/2, and not look again. */
static void a_watch_over_plain_http_does_not_delay_other_transfers(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, is_slow_to_watch);

    struct transfer *watch = get(&b, 0, 0);
    for (int turn = 0; turn < 4; turn++)
        loop_run_once(b.loop, 25);
    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);
    assert_int_equal(x->result, OK);
    transfer_close(x);
    transfer_close(watch);
    bench_close(&b);
}

static void a_body_is_posted_without_expect_100_continue(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_hello);
    const char *const headers[] = { "Content-Type: application/json", NULL };
    struct transfer_request r = {
        .method = "POST", .url = b.url, .headers = headers, .body = "{\"a\":1}"
    };

    struct transfer *x = transfer_open(b.transfers, &r, NULL);
    wait_for(&b, &x->result);

    assert_int_equal(x->result, OK);
    assert_contains(b.seen, "POST /x HTTP/1.1\r\n");
    assert_contains(b.seen, "\r\n\r\n{\"a\":1}");
    assert_null(strcasestr(b.seen, "expect"));
    transfer_close(x);
    bench_close(&b);
}

static void sends_retry_after(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (http_request(fd, b->seen))
        http_answer(fd, 429, "Retry-After: 7\r\n", "slow down");
}

static void reads_retry_after(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_retry_after);

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->result, OK);
    assert_int_equal(x->status, 429);
    assert_int_equal(x->retry_after, 7);
    transfer_close(x);
    bench_close(&b);
}

static void sends_retry_after_date(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (http_request(fd, b->seen))
        http_answer(fd, 503, "Retry-After: Thu, 31 Dec 2099 23:59:59 GMT\r\n", "");
}

static void reads_retry_after_as_a_date(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_retry_after_date);

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->status, 503);
    assert_true(x->retry_after > 0);
    transfer_close(x);
    bench_close(&b);
}

static void redirects(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (http_request(fd, b->seen))
        http_answer(fd, 302, "Location: /elsewhere\r\n", "");
}

static void follows_no_redirect(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, redirects);

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->status, 302);
    transfer_close(x);
    bench_close(&b);
}

#define LONG_BODY (4u << 20)

static void sends_long_body(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (!http_request(fd, b->seen))
        return;
    char *body = xmalloc(LONG_BODY + 1);
    memset(body, 'x', LONG_BODY);
    body[LONG_BODY] = '\0';
    http_answer(fd, 200, "", body);
    free(body);
}

static void a_paused_reader_stops_the_transfer(void **state)
{
    (void)state;
    struct bench b;
    size_t total = 0;
    bench_open(&b, sends_long_body);

    struct transfer *x = get(&b, 0, STALL_MS); /* a paused transfer does not stall */
    uint64_t until = now(&b) + PATIENCE_MS;
    while (x->body.len <= 32768 && x->result == ERR_AGAIN && now(&b) < until)
        loop_run_once(b.loop, 20);
    until = now(&b) + STALL_MS + STALL_MS / 4;
    while (now(&b) < until) {
        loop_run_once(b.loop, 20);
        assert_true(x->body.len <= 65536);
    }
    assert_int_equal(x->result, ERR_AGAIN);
    assert_true(x->body.len > 32768);
    until = now(&b) + PATIENCE_MS;
    while (total < LONG_BODY && x->result == ERR_AGAIN && now(&b) < until) {
        total += x->body.len;
        bufq_clear(&x->body);
        transfer_resume(x);
        loop_run_once(b.loop, 10);
    }
    total += x->body.len;
    wait_for(&b, &x->result);
    assert_int_equal(total, LONG_BODY);
    assert_int_equal(x->result, OK);
    transfer_close(x);
    bench_close(&b);
}

static void falls_silent(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (!http_request(fd, b->seen))
        return;
    http_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_chunk(fd, "one");
    http_request(fd, b->seen);
}

static void silence_and_lateness_are_time_outs(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, falls_silent);

    struct transfer *x = get(&b, 0, STALL_MS);
    wait_for(&b, &x->result);
    assert_int_equal(x->result, ERR_TIMEOUT);
    assert_int_equal(x->status, 200);
    assert_contains(x->why.text, "127.0.0.1:");
    assert_contains(x->why.text, "nothing came");
    assert_body(x, "one");
    transfer_close(x);

    x = get(&b, 100, 0);
    wait_for(&b, &x->result);
    assert_int_equal(x->result, ERR_TIMEOUT);
    transfer_close(x);
    bench_close(&b);
}

static void is_cancelled_at_any_moment(void **state)
{
    (void)state;
    struct bench b;
    unsigned before = open_descriptors();

    for (int turns = 0; turns < 8; turns++) {
        bench_open(&b, falls_silent);
        struct transfer *x = get(&b, 0, 0);
        for (int i = 0; i < turns; i++)
            loop_run_once(b.loop, 5);
        transfer_close(x);
        bench_close(&b);
        assert_int_equal(open_descriptors(), before);
    }
}

static void cuts_short(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (http_request(fd, b->seen))
        http_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
}

static void a_cut_answer_is_an_error(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, cuts_short);

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->result, ERR_RESET);
    transfer_close(x);
    bench_close(&b);
}

/* A port on which nothing listens. */
static uint16_t closed_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void the_address_that_refused_is_named(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_hello);
    snprintf(b.url, sizeof(b.url), "http://127.0.0.1:%u/", closed_port());

    struct transfer *x = get(&b, PATIENCE_MS, 0);
    wait_for(&b, &x->result);

    assert_int_equal(x->result, ERR_CONNECT);
    assert_contains(x->why.text, "cannot reach 127.0.0.1:");
    assert_contains(x->why.text, "refused");
    transfer_close(x);
    bench_close(&b);
}

static void a_malformed_url_is_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, sends_hello);
    snprintf(b.url, sizeof(b.url), "http://[oops/");

    struct transfer *x = get(&b, PATIENCE_MS, 0);

    assert_int_equal(x->result, ERR_CONFIG);
    transfer_close(x);
    bench_close(&b);
}

static void talk_once(int fd)
{
    char got[8] = "";
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    fcntl(fd, F_SETFL, 0);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(recv(fd, got, 4, MSG_WAITALL), 4);
    assert_string_equal(got, "HTTP");
}

static void connects_and_hands_over_the_socket(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    bench_open(&b, sends_hello);

    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "127.0.0.1",
                                              .port = http_server_port(b.server),
                                              .proxy = "",
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, OK);
    int fd = c.fd;
    c.fd = -1;
    connecting_finish(&c);
    loop_run_once(b.loop, 10);

    talk_once(fd);
    close(fd);
    bench_close(&b);
}

static void a_socket_that_was_not_taken_is_closed(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    bench_open(&b, sends_hello);

    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "127.0.0.1",
                                              .port = http_server_port(b.server),
                                              .proxy = NULL,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, OK);
    int fd = c.fd;
    connecting_finish(&c);
    connecting_finish(&c);
    assert_int_equal(close(fd), -1);
    bench_close(&b); /* joins the server's thread: the client's end is gone */
}

static void connecting_may_be_cancelled_at_any_time(void **state)
{
    (void)state;
    struct bench b;
    unsigned before = open_descriptors();

    for (int turns = 0; turns < 5; turns++) {
        struct connecting c;
        bench_open(&b, sends_hello);
        connecting_start(&c, b.transfers,
                         &(struct connecting_to){ .host = "localhost",
                                                  .port = http_server_port(b.server),
                                                  .proxy = NULL,
                                                  .timeout_ms = PATIENCE_MS },
                         NULL);
        for (int i = 0; i < turns; i++)
            loop_run_once(b.loop, 5);
        connecting_finish(&c);
        bench_close(&b);
        assert_int_equal(open_descriptors(), before);
    }
}

static void connecting_without_descriptor_is_err_no_files(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    struct rlimit before, tight;
    bench_open(&b, sends_hello);
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);

    tight = (struct rlimit){ (rlim_t)next, before.rlim_max };
    setrlimit(RLIMIT_NOFILE, &tight);
    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "127.0.0.1",
                                              .port = http_server_port(b.server),
                                              .proxy = NULL,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(c.result, ERR_NO_FILES);
    assert_contains(c.why.text, "out of file descriptors");
    connecting_finish(&c);
    bench_close(&b);
}

static void the_reason_of_a_failed_connect_is_named(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    char proxy[64];
    bench_open(&b, sends_hello);

    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "127.0.0.1",
                                              .port = closed_port(),
                                              .proxy = NULL,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, ERR_CONNECT);
    assert_contains(c.why.text, "cannot reach 127.0.0.1:");
    connecting_finish(&c);

    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "no-such-host.invalid",
                                              .port = 443,
                                              .proxy = NULL,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, ERR_RESOLVE);
    assert_contains(c.why.text, "no-such-host.invalid:443");
    connecting_finish(&c);

    snprintf(proxy, sizeof(proxy), "https://127.0.0.1:%u", closed_port());
    connecting_start(
        &c, b.transfers,
        &(struct connecting_to){
            .host = "127.0.0.1", .port = 443, .proxy = proxy, .timeout_ms = PATIENCE_MS },
        NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, ERR_CONNECT);
    assert_contains(c.why.text, "cannot reach the proxy 127.0.0.1:");
    connecting_finish(&c);
    bench_close(&b);
}

/* A proxy that answers every request itself. */
static void is_a_proxy(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    char inner[REQUEST_MAX];
    (void)nth;
    if (!http_request(fd, b->seen))
        return;
    http_write(fd, "HTTP/1.1 200 Connection established\r\n\r\n");
    while (http_request(fd, inner))
        http_answer(fd, 200, "", "");
}

static void goes_through_an_http_proxy(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    char proxy[64];
    bench_open(&b, is_a_proxy);
    snprintf(proxy, sizeof(proxy), "http://me:word@127.0.0.1:%u",
             http_server_port(b.server));

    setenv("NO_PROXY", "*", 1); /* does not concern a configured proxy */
    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "api.example",
                                              .port = 6443,
                                              .proxy = proxy,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    unsetenv("NO_PROXY");
    assert_int_equal(c.result, OK);
    talk_once(c.fd);
    assert_contains(b.seen, "CONNECT api.example:6443 HTTP/1.1\r\n");
    assert_contains(b.seen, "Proxy-Authorization: Basic bWU6d29yZA==\r\n");
    connecting_finish(&c);
    bench_close(&b);
}

static void refuses_to_proxy(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    (void)nth;
    if (http_request(fd, b->seen))
        http_answer(fd, 407, "", "");
}

static void the_answer_of_a_refusing_proxy_is_named(void **state)
{
    (void)state;
    struct bench b;
    struct connecting c;
    char proxy[64];
    bench_open(&b, refuses_to_proxy);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", http_server_port(b.server));

    connecting_start(&c, b.transfers,
                     &(struct connecting_to){ .host = "api.example",
                                              .port = 6443,
                                              .proxy = proxy,
                                              .timeout_ms = PATIENCE_MS },
                     NULL);
    wait_for(&b, &c.result);
    assert_int_equal(c.result, ERR_CONNECT);
    assert_contains(c.why.text,
                    ": status 407 (it requires a user and password in its URL)");
    connecting_finish(&c);
    bench_close(&b);
}

static void no_proxy_exempts_hosts_and_networks(void **state)
{
    (void)state;
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool named;
    } cases[] = {
        /* clang-format off */
        { "*",                     "api.example", 443, true },
        { "example",               "api.example", 443, true },
        { "example",               "example",     443, true },
        { "ample",                 "api.example", 443, false },
        { ".example",              "example",     443, false },
        { "*.example",             "API.Example", 443, true },
        { "a, api.example:443",    "api.example", 443, true },
        { "api.example:443",       "api.example", 80,  false },
        { "10.0.0.0/8",            "10.2.3.4",    443, true },
        { "10.0.0.0/8",            "11.2.3.4",    443, false },
        { "10.2.3.4",              "10.2.3.4",    443, true },
        { "10.2.3.4:80",           "10.2.3.4",    443, false },
        { "10.2.0.0/33",           "10.2.3.4",    443, false },
        { "fd00::/8",              "fd00::1",     443, true },
        { "[fd00::1]:443",         "fd00::1",     443, true },
        { "fd00::1",               "fd00::1",     443, true },
        { "[fd00::1",              "fd00::1",     443, false },
        { "0.0.0.0/0",             "api.example", 443, false },
        { "",                      "api.example", 443, false },
        { ",,",                    "api.example", 443, false },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (proxy_excludes(cases[i].list, cases[i].host, cases[i].port) != cases[i].named)
            fail_msg("\"%s\" and %s:%u", cases[i].list, cases[i].host, cases[i].port);
}

static void assert_proxy(const char *configured, const char *host, const char *expected)
{
    AUTO_FREE char *got = proxy_choose(configured, true, host, 443);
    assert_string_equal(got, expected);
}

static void the_proxy_is_chosen_by_scheme_and_environment(void **state)
{
    (void)state;
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    setenv("HTTPS_PROXY", "http://corp:3128", 1);
    setenv("ALL_PROXY", "socks5://all:1080", 1);
    setenv("NO_PROXY", ".internal", 1);

    assert_proxy(NULL, "api.example", "http://corp:3128");
    assert_proxy(NULL, "api.internal", "");
    assert_proxy(NULL, "127.0.0.9", "");
    assert_proxy(NULL, "localhost", "");
    assert_proxy("", "api.example", "");
    assert_proxy("socks5://mine:1", "127.0.0.1", "socks5h://mine:1");
    unsetenv("HTTPS_PROXY");
    assert_proxy(NULL, "api.example", "socks5h://all:1080");
    unsetenv("ALL_PROXY");
    unsetenv("NO_PROXY");
    assert_proxy(NULL, "api.example", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_and_body_are_returned),
        cmocka_unit_test(a_watch_over_plain_http_does_not_delay_other_transfers),
        cmocka_unit_test(a_body_is_posted_without_expect_100_continue),
        cmocka_unit_test(reads_retry_after),
        cmocka_unit_test(reads_retry_after_as_a_date),
        cmocka_unit_test(follows_no_redirect),
        cmocka_unit_test(a_paused_reader_stops_the_transfer),
        cmocka_unit_test(silence_and_lateness_are_time_outs),
        cmocka_unit_test(is_cancelled_at_any_moment),
        cmocka_unit_test(a_cut_answer_is_an_error),
        cmocka_unit_test(the_address_that_refused_is_named),
        cmocka_unit_test(a_malformed_url_is_refused),
        cmocka_unit_test(connects_and_hands_over_the_socket),
        cmocka_unit_test(a_socket_that_was_not_taken_is_closed),
        cmocka_unit_test(connecting_may_be_cancelled_at_any_time),
        cmocka_unit_test(connecting_without_descriptor_is_err_no_files),
        cmocka_unit_test(the_reason_of_a_failed_connect_is_named),
        cmocka_unit_test(goes_through_an_http_proxy),
        cmocka_unit_test(the_answer_of_a_refusing_proxy_is_named),
        cmocka_unit_test(no_proxy_exempts_hosts_and_networks),
        cmocka_unit_test(the_proxy_is_chosen_by_scheme_and_environment),
    };
    return cmocka_run_group_tests_name("net/transfer", tests, NULL, NULL);
}
