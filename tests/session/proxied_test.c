/* tests/session/proxied_test.c - CONNECT, SOCKS and TLS: the reply, what follows it, and refusals */
#include "stage.h"

#include <unistd.h>

#include "base/own.h"
#include "serve/proxy_users.h"

#define CONNECT(host) "CONNECT " host " HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"
#define GET "GET /a HTTP/1.1\r\nHost: web.shop\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define FOREIGN                                                                          \
    "POST /evil HTTP/1.1\r\nHost: web.shop\r\nOrigin: https://evil.example\r\n"          \
    "Content-Length: 0\r\n\r\n"

/* A byte string with its length. */
struct wire {
    const char *at;
    size_t len;
};
#define WIRE(text) ((struct wire){ text, sizeof(text) - 1 })

#define OFFER "\5\1\0"
#define OFFER_REPLY "\5\0"
#define TO_WEB_SHOP "\5\1\0\3\010web.shop\0\120"
#define SOCKS4A "\4\1\0\120\0\0\0\1me\0web.shop\0"
#define SUCCEEDED "\5\0\0\1\0\0\0\0\0\0"
#define GRANTED "\0\x5a\0\0\0\0\0\0"

static void write_wire(struct stage *st, struct stream *to, struct wire w)
{
    stage_write_bytes(st, to, w.at, w.len);
}

static void assert_received_wire(struct stage *st, struct stream *at, struct wire w)
{
    char received[4096];
    size_t n = stage_read(st, at, received, sizeof(received));

    if (n != w.len || memcmp(received, w.at, n) != 0)
        fail_msg("heard %zu bytes instead of %zu: %.*s", n, w.len, (int)n, received);
}

static void assert_answered(struct stage *st, struct stream *client, const char *start)
{
    const char *received = stage_received(st, client);
    if (!str_starts(str_of(received), str_of(start)))
        fail_msg("not \"%s\" but \"%s\"", start, received);
}

/* Ways to request port 80 of web.shop, and the responses. */
static const struct way {
    const char *name;
    struct wire request[2], reply[2];
} ways[] = {
    { "CONNECT",
      { { CONNECT("web.shop:80"), sizeof(CONNECT("web.shop:80")) - 1 } },
      { { ESTABLISHED, sizeof(ESTABLISHED) - 1 } } },
    { "SOCKS5",
      { { OFFER, sizeof(OFFER) - 1 }, { TO_WEB_SHOP, sizeof(TO_WEB_SHOP) - 1 } },
      { { OFFER_REPLY, sizeof(OFFER_REPLY) - 1 },
        { SUCCEEDED, sizeof(SUCCEEDED) - 1 } } },
    { "SOCKS4a",
      { { SOCKS4A, sizeof(SOCKS4A) - 1 } },
      { { GRANTED, sizeof(GRANTED) - 1 } } },
};

static struct stream *open_by(struct stage *st, const struct way *way)
{
    struct stream *client = stage_client(st);

    for (size_t i = 0; i < 2 && way->request[i].at; i++) {
        write_wire(st, client, way->request[i]);
        assert_received_wire(st, client, way->reply[i]);
    }
    return client;
}

static void bytes_are_carried_both_ways_after_the_reply(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = open_by(st, &ways[i]);
        assert_int_equal(st->lease_count, i + 1);
        assert_string_equal(st->leases[i].route, "shop/web");
        assert_int_equal(st->leases[i].port, 80);
        stage_write(st, client, "EHLO me\r\n");
        assert_received(st, pod(st, i), "EHLO me\r\n");
        stage_write(st, pod(st, i), "250 pod\r\n");
        assert_received(st, client, "250 pod\r\n");
        hang_up(st, client);
        pod_ends(st, i, V_CLEAN, "");
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
}

static void a_pod_may_speak_first_after_the_reply(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = open_by(st, &ways[i]);
        stage_write(st, pod(st, i), "220 mail ready\r\n");
        assert_received(st, client, "220 mail ready\r\n");
    }
}

/* The reply is sent once there is a stream to a pod, also if the client sends its first
 * bytes before. */
static void the_reply_waits_for_the_lease(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = stage_client(st);
        const struct way *way = &ways[i];
        bool two = way->request[1].at != NULL;
        st->script[i].result = ERR_AGAIN;
        write_wire(st, client, way->request[0]);
        if (two)
            assert_received_wire(st, client, way->reply[0]);
        if (two)
            write_wire(st, client, way->request[1]);
        stage_write(st, client, GET);
        assert_received(st, client, "");
        stage_deliver(st, i, &(struct outcome){ .result = OK });
        assert_received_wire(st, client, way->reply[two]);
        assert_received(st, pod(st, i), GET);
    }
}

static void requests_are_read_byte_by_byte(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = stage_client(st);
        for (size_t k = 0; k < 2 && ways[i].request[k].at; k++) {
            for (size_t at = 0; at < ways[i].request[k].len; at++)
                stage_write_bytes(st, client, ways[i].request[k].at + at, 1);
            assert_received_wire(st, client, ways[i].reply[k]);
        }
    }
    assert_int_equal(st->lease_count, ARRAY_LEN(ways));
}

/* Decision 141: a browser may reach services through the proxy, so the checks of web
 * pages apply. */
static void http_inside_is_checked_as_on_exposed_ports(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = open_by(st, &ways[i]);
        stage_write(st, client, GET);
        assert_received(st, pod(st, i), GET);
        stage_write(st, pod(st, i), ANSWER);
        assert_received(st, client, ANSWER);
        stage_write(st, client, FOREIGN);
        assert_answered(st, client, "HTTP/1.1 403 Forbidden\r\n");
    }
    assert_int_equal(st->lease_count, ARRAY_LEN(ways));
}

static void a_browser_may_send_the_host_it_requested_and_no_other(void **state)
{
    struct stage *st = *state;
    const char *own =
        "GET / HTTP/1.1\r\nHost: web.shop\r\nUser-Agent: Mozilla/5.0\r\n\r\n";
    const char *other = "GET / HTTP/1.1\r\nHost: evil.example\r\n"
                        "User-Agent: Mozilla/5.0\r\n\r\n";
    struct stream *client = open_by(st, &ways[1]);

    stage_write(st, client, own);
    assert_received(st, pod(st, 0), own);
    client = open_by(st, &ways[1]);
    stage_write(st, client, other);
    assert_answered(st, client, "HTTP/1.1 403 Forbidden\r\n");
}

static void setting_proxy_raw_carries_http_as_bytes(void **state)
{
    struct stage *st = *state;
    st->config->proxy_raw = true;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = open_by(st, &ways[i]);
        stage_write(st, client, FOREIGN);
        assert_received(st, pod(st, i), FOREIGN);
    }
}

static void a_refusal_before_the_pods_first_byte_leads_to_another_pod(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        size_t first = st->lease_count;
        struct stream *client = open_by(st, &ways[i]);
        stage_write(st, client, "hello\r\n");
        pod_ends(st, first, V_REFUSED, "connection refused");
        assert_int_equal(st->lease_count, first + 2);
        assert_received(st, pod(st, first + 1), "hello\r\n");
    }
}

static void failed_leases_are_reported_in_the_clients_protocol(void **state)
{
    struct stage *st = *state;
    static const struct {
        enum err result;
        const char *page, *socks5;
    } cases[] = {
        { ERR_NOT_FOUND, "HTTP/1.1 404 ", "\5\4" },
        { ERR_NO_PORT, "HTTP/1.1 404 ", "\5\5" },
        { ERR_UNAVAILABLE, "HTTP/1.1 503 ", "\5\4" },
        { ERR_CLOSED, "HTTP/1.1 403 ", "\5\2" },
        { ERR_TIMEOUT, "HTTP/1.1 504 ", "\5\6" },
        { ERR_CREDENTIALS, "HTTP/1.1 502 ", "\5\1" },
        { ERR_SELF, "HTTP/1.1 502 ", "\5\1" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome failed = { .result = cases[i].result, .why = "no" };
        char received[512] = "";
        size_t n = st->lease_count;
        st->script[n] = st->script[n + 1] = st->script[n + 2] = failed;
        struct stream *connect = stage_client(st), *socks5 = stage_client(st);
        struct stream *socks4 = stage_client(st);
        write_wire(st, connect, ways[0].request[0]);
        assert_answered(st, connect, cases[i].page);
        write_wire(st, socks5, ways[1].request[0]);
        assert_received_wire(st, socks5, ways[1].reply[0]);
        write_wire(st, socks5, ways[1].request[1]);
        assert_int_equal(stage_read(st, socks5, received, sizeof(received)), 10);
        assert_memory_equal(received, cases[i].socks5, 2);
        write_wire(st, socks4, ways[2].request[0]);
        assert_received_wire(st, socks4, WIRE("\0\x5b\0\0\0\0\0\0"));
        assert_int_equal(connect->end.verdict, V_CLEAN);
        assert_int_equal(socks5->end.verdict, V_CLEAN);
        assert_int_equal(socks4->end.verdict, V_CLEAN);
    }
}

static void names_outside_the_cluster_are_refused_with_no_proxy(void **state)
{
    struct stage *st = *state;
    static const char *const hosts[] = { "www.example.com:443", "localhost:80",
                                         "127.0.0.1:80",        "[::1]:80",
                                         "127.1:443",           "web_.shop:80" };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct stream *client = stage_client(st);
        AUTO_FREE char *text =
            xasprintf("CONNECT %s HTTP/1.1\r\nHost: a.b\r\n\r\n", hosts[i]);
        stage_write(st, client, text);
        const char *received = stage_received(st, client);
        if (!str_starts(str_of(received), STR("HTTP/1.1 502 ")) ||
            !strstr(received, "no_proxy="))
            fail_msg("%s: %s", hosts[i], received);
    }
    struct stream *socks = stage_client(st);
    stage_write_bytes(st, socks, "\5\1\0\5\1\0\3\017www.example.com\1\273", 25);
    assert_received_wire(st, socks, WIRE("\5\0\5\2\0\1\0\0\0\0\0\0"));
    assert_int_equal(st->lease_count, 0);
}

static void closed_namespaces_are_refused(void **state)
{
    struct stage *st = *state;
    static char shop[] = "shop";
    static char *list[] = { shop };
    st->config->deny_namespace = (struct string_list){ list, 1 };
    struct stream *connect = stage_client(st), *socks = stage_client(st);

    stage_write(st, connect, CONNECT("web.shop:80"));
    assert_answered(st, connect, "HTTP/1.1 403 ");
    stage_write_bytes(st, socks, SOCKS4A, sizeof(SOCKS4A) - 1);
    assert_received_wire(st, socks, WIRE("\0\x5b\0\0\0\0\0\0"));
    assert_int_equal(st->lease_count, 0);
    st->config->deny_namespace = (struct string_list){ NULL, 0 };
}

static void bad_socks_requests_are_refused(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *what;
        struct wire request, reply;
    } cases[] = {
        { "BIND",
          { OFFER "\5\2\0\1\1\2\3\4\0\120", 13 },
          { "\5\0\5\7\0\1\0\0\0\0\0\0", 12 } },
        { "UDP ASSOCIATE",
          { OFFER "\5\3\0\1\0\0\0\0\0\0", 13 },
          { "\5\0\5\7\0\1\0\0\0\0\0\0", 12 } },
        { "BIND of version 4",
          { "\4\2\0\120\1\2\3\4\0", 9 },
          { "\0\x5b\0\0\0\0\0\0", 8 } },
        { "GSSAPI only", { "\5\1\1", 3 }, { "\5\377", 2 } },
        { "another address type",
          { OFFER "\5\1\0\2", 7 },
          { "\5\0\5\10\0\1\0\0\0\0\0\0", 12 } },
        { "version 6 after the offer",
          { OFFER "\6", 4 },
          { "\5\0\5\1\0\1\0\0\0\0\0\0", 12 } },
        { "port 0",
          { OFFER "\5\1\0\3\3a.b\0\0", 13 },
          { "\5\0\5\5\0\1\0\0\0\0\0\0", 12 } },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream *client = stage_client(st);
        char received[64];
        write_wire(st, client, cases[i].request);
        size_t n = stage_read(st, client, received, sizeof(received));
        if (n != cases[i].reply.len || memcmp(received, cases[i].reply.at, n) != 0)
            fail_msg("%s: %zu bytes", cases[i].what, n);
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
    assert_int_equal(st->lease_count, 0);
}

static void a_user_and_a_password_are_ignored(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write_bytes(st, client, "\5\1\2", 3);
    assert_received_wire(st, client, WIRE("\5\2"));
    stage_write_bytes(st, client, "\1\2me\6secret", 11);
    assert_received_wire(st, client, WIRE("\1\0"));
    stage_write_bytes(st, client, TO_WEB_SHOP, sizeof(TO_WEB_SHOP) - 1);
    assert_received_wire(st, client, WIRE(SUCCEEDED));
}

static void take_users(struct stage *st)
{
    char path[] = "/tmp/kube-tunnel-users-XXXXXX";
    int fd = mkstemp(path);
    struct proxy_users *users;

    assert_int_equal(write(fd, "me:secret\n", 10), 10);
    close(fd);
    assert_int_equal(proxy_users_read(path, &users, NULL), OK);
    unlink(path);
    serve_set_proxy_users(stage_serve(st), users);
}

static void a_socks_client_needs_a_user_where_there_are_some(void **state)
{
    struct stage *st = *state;
    take_users(st);
    struct stream *right = stage_client(st), *wrong = stage_client(st);
    struct stream *none = stage_client(st), *socks4 = stage_client(st);

    stage_write_bytes(st, right, "\5\2\0\2", 4);
    assert_received_wire(st, right, WIRE("\5\2"));
    stage_write_bytes(st, right, "\1\2me\6secret", 11);
    assert_received_wire(st, right, WIRE("\1\0"));
    stage_write_bytes(st, right, TO_WEB_SHOP, sizeof(TO_WEB_SHOP) - 1);
    assert_received_wire(st, right, WIRE(SUCCEEDED));
    stage_write_bytes(st, wrong, "\5\1\2\1\2me\6Secret", 14);
    assert_received_wire(st, wrong, WIRE("\5\2\1\1"));
    assert_int_equal(wrong->end.verdict, V_CLEAN);
    stage_write_bytes(st, none, OFFER, 3);
    assert_received_wire(st, none, WIRE("\5\377"));
    stage_write_bytes(st, socks4, SOCKS4A, sizeof(SOCKS4A) - 1);
    assert_received_wire(st, socks4, WIRE("\0\x5b\0\0\0\0\0\0"));
    assert_int_equal(st->lease_count, 1);
}

#define RIGHT "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" /* me:secret */
#define WRONG "Proxy-Authorization: Basic bWU6U2VjcmV0\r\n"

static void proxy_requests_need_a_user_where_there_are_some(void **state)
{
    struct stage *st = *state;
    static const char *const refused[] = {
        "CONNECT web.shop:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT web.shop:80 HTTP/1.1\r\nHost: a\r\n" WRONG "\r\n",
        "CONNECT www.example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n\r\n",
        "GET http://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n" WRONG "\r\n",
    };

    take_users(st);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct stream *client = stage_client(st);
        stage_write(st, client, refused[i]);
        const char *received = stage_received(st, client);
        if (!str_starts(str_of(received), STR("HTTP/1.1 407 ")) ||
            !strstr(received, "\r\nProxy-Authenticate: Basic realm=\"kube-tunnel\"\r\n"))
            fail_msg("%s: %s", refused[i], received);
    }
    assert_int_equal(st->lease_count, 0);
    struct stream *client = stage_client(st);
    stage_write(st, client,
                "GET http://web.shop/ HTTP/1.1\r\nHost: web.shop\r\n" RIGHT "\r\n");
    assert_received(st, pod(st, 0), "GET / HTTP/1.1\r\nHost: web.shop\r\n\r\n");
    client = stage_client(st);
    stage_write(st, client, "CONNECT web.shop:80 HTTP/1.1\r\nHost: a\r\n" RIGHT "\r\n");
    assert_answered(st, client, "HTTP/1.1 200 ");
    client = stage_client(st);
    stage_write(st, client, "GET / HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n");
    assert_int_equal(st->lease_count, 3); /* it is no proxy request */
}

/* The listener may be reached from other machines: --proxy is for that. */
static void other_listeners_serve_no_proxy_clients_by_default(void **state)
{
    struct stage *st = *state;
    const struct arrival from = { .address = "10.0.0.9:5000", .port = 80 };

    for (int allowed = 0; allowed < 2; allowed++) {
        struct stream *connect = stage_client_from(st, &from);
        struct stream *socks = stage_client_from(st, &from);
        stage_write(st, connect, CONNECT("web.shop:80"));
        assert_answered(st, connect, allowed ? ESTABLISHED : "HTTP/1.1 403 ");
        stage_write_bytes(st, socks, SOCKS4A, sizeof(SOCKS4A) - 1);
        assert_received_wire(st, socks,
                             allowed ? WIRE(GRANTED) : WIRE("\0\x5b\0\0\0\0\0\0"));
        st->config->proxy = AUTO_BOOL_TRUE;
    }
    assert_int_equal(st->lease_count, 2);
}

static void a_greeting_that_stops_is_closed_after_head_timeout(void **state)
{
    struct stage *st = *state;
    static const struct wire parts[] = { { "\5", 1 },
                                         { "\5\1\0\5\1", 5 },
                                         { "\4\1", 2 } };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct stream *client = stage_client(st);
        write_wire(st, client, parts[i]);
        stage_pass(st, 2 * st->config->head_timeout_ms);
        stage_pass(st, 5000);
        assert_int_not_equal(client->end.verdict, V_OPEN);
    }
}

static void clients_that_leave_while_they_wait_cancel_the_lease(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct stream *client = stage_client(st);
        st->script[i].result = ERR_AGAIN;
        for (size_t k = 0; k < 2 && ways[i].request[k].at; k++)
            write_wire(st, client, ways[i].request[k]);
        assert_int_equal(st->lease_count, i + 1);
        drop(st, &client);
        assert_true(st->leases[i].returned);
    }
}

static void an_absolute_target_outside_is_refused_with_no_proxy(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    stage_write(st, client,
                "GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
    const char *received = stage_received(st, client);
    assert_true(str_starts(str_of(received), STR("HTTP/1.1 502 ")));
    assert_non_null(strstr(received, "no_proxy=www.example.com"));
}

/* A ClientHello whose only extension names this server; returns its length. */
static size_t put_hello(const char *name, uint8_t out[static 400])
{
    static const uint8_t cipher[] = { 0, 0, 2, 0x13, 1, 1, 0 };
    size_t n = strlen(name), body = 2 + 32 + sizeof(cipher) + 2 + 9 + n;
    uint8_t *p = out;

    memset(out, 0, 400);
    *p++ = 0x16, *p++ = 3, *p++ = 1;
    *p++ = (uint8_t)((body + 4) >> 8), *p++ = (uint8_t)(body + 4);
    *p++ = 1, *p++ = 0, *p++ = (uint8_t)(body >> 8), *p++ = (uint8_t)body;
    *p++ = 3, *p++ = 3;
    p += 32;
    memcpy(p, cipher, sizeof(cipher));
    p += sizeof(cipher);
    *p++ = 0, *p++ = (uint8_t)(9 + n); /* extensions */
    *p++ = 0, *p++ = 0, *p++ = 0, *p++ = (uint8_t)(5 + n);
    *p++ = 0, *p++ = (uint8_t)(3 + n), *p++ = 0, *p++ = 0, *p++ = (uint8_t)n;
    memcpy(p, name, n);
    return (size_t)(p - out) + n;
}

static struct stream *send_client_hello(struct stage *st, const char *name, bool bytewise)
{
    struct stream *client = stage_client(st);
    uint8_t hello[400];
    size_t n = put_hello(name, hello), step = bytewise ? 1 : n;

    for (size_t at = 0; at < n; at += step)
        stage_write_bytes(st, client, hello + at, step);
    return client;
}

static void tls_goes_to_the_service_that_its_server_name_is_of(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < 2; i++) {
        struct stream *client =
            send_client_hello(st, "web.shop.svc.cluster.local", i == 1);
        uint8_t hello[400];
        char received[400];
        size_t n = put_hello("web.shop.svc.cluster.local", hello);
        assert_int_equal(st->lease_count, i + 1);
        assert_string_equal(st->leases[i].route, "shop/web");
        assert_int_equal(st->leases[i].port, 0);
        assert_int_equal(stage_read(st, pod(st, i), received, sizeof(received)), n);
        assert_memory_equal(received, hello, n);
        stage_write_bytes(st, pod(st, i), "\x16\3\3\0\1\2", 6);
        assert_received_wire(st, client, WIRE("\x16\3\3\0\1\2"));
    }
}

static void tls_for_other_names_is_refused_by_an_alert(void **state)
{
    struct stage *st = *state;
    static const struct {
        const char *name;
        uint8_t alert;
    } cases[] = {
        { "www.example.com", 112 },
        { "localhost", 112 },
        { "127.0.0.1", 112 },
        { "10.96.0.7", 112 },
        { "web.shop", 49 /* two labels */ },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream *client = send_client_hello(st, cases[i].name, false);
        char received[16];
        assert_int_equal(stage_read(st, client, received, sizeof(received)), 7);
        assert_memory_equal(received, "\x15\3\3\0\2\2", 6);
        assert_int_equal((uint8_t)received[6], cases[i].alert);
        assert_int_equal(client->end.verdict, V_CLEAN);
    }
    assert_int_equal(st->lease_count, 0);
}

static void tls_to_a_service_without_a_tls_port_is_a_handshake_failure(void **state)
{
    struct stage *st = *state;

    st->script[0] = (struct outcome){ .result = ERR_NO_PORT, .why = "no TLS port" };
    assert_received_wire(st, send_client_hello(st, "web.shop.localhost", false),
                         WIRE("\x15\3\3\0\2\2\x28"));
}

static void a_hello_that_stops_is_closed_after_head_timeout(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    uint8_t hello[400];

    stage_write_bytes(st, client, hello, put_hello("web.shop.localhost", hello) - 1);
    stage_pass(st, 2 * st->config->head_timeout_ms);
    stage_pass(st, 5000);
    assert_int_not_equal(client->end.verdict, V_OPEN);
    assert_int_equal(st->lease_count, 0);
}

/* The page of a request to a server that speaks another protocol. */
static void assert_mistake(struct stage *st, const char *request, const void *output,
                           size_t n, const char *first, const char *url)
{
    struct stream *client = stage_client(st);
    size_t i = st->lease_count;

    stage_write(st, client, request);
    stage_write_bytes(st, pod(st, i), output, n);
    const char *received = stage_received(st, client);
    if (!strstr(received, "HTTP/1.1 502 ") || !strstr(received, first) ||
        !strstr(received, url))
        fail_msg("%s", received);
}

static void plain_http_to_a_tls_server_gets_the_https_url(void **state)
{
    assert_mistake(*state, "GET / HTTP/1.1\r\nHost: web.shop.localhost\r\n\r\n",
                   "\x15\3\3\0\2\2\x46", 7, "port 8080 speaks TLS",
                   "https://web.shop.localhost");
}

static void grpc_in_http1_without_trailers_gets_the_way_to_use(void **state)
{
    assert_mistake(*state,
                   "POST / HTTP/1.1\r\nHost: web.shop.localhost\r\n"
                   "Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n",
                   "\0\0\0\4\0\0\0\0\0", 9, "port 8080 speaks HTTP/2 only",
                   "http://web.shop.localhost/");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_carried_both_ways_after_the_reply),
        TEST(a_pod_may_speak_first_after_the_reply),
        TEST(the_reply_waits_for_the_lease),
        TEST(requests_are_read_byte_by_byte),
        TEST(http_inside_is_checked_as_on_exposed_ports),
        TEST(a_browser_may_send_the_host_it_requested_and_no_other),
        TEST(setting_proxy_raw_carries_http_as_bytes),
        TEST(a_refusal_before_the_pods_first_byte_leads_to_another_pod),
        TEST(failed_leases_are_reported_in_the_clients_protocol),
        TEST(names_outside_the_cluster_are_refused_with_no_proxy),
        TEST(closed_namespaces_are_refused),
        TEST(bad_socks_requests_are_refused),
        TEST(a_user_and_a_password_are_ignored),
        TEST(a_socks_client_needs_a_user_where_there_are_some),
        TEST(proxy_requests_need_a_user_where_there_are_some),
        TEST(other_listeners_serve_no_proxy_clients_by_default),
        TEST(a_greeting_that_stops_is_closed_after_head_timeout),
        TEST(clients_that_leave_while_they_wait_cancel_the_lease),
        TEST(an_absolute_target_outside_is_refused_with_no_proxy),
        TEST(tls_goes_to_the_service_that_its_server_name_is_of),
        TEST(tls_for_other_names_is_refused_by_an_alert),
        TEST(tls_to_a_service_without_a_tls_port_is_a_handshake_failure),
        TEST(a_hello_that_stops_is_closed_after_head_timeout),
        TEST(plain_http_to_a_tls_server_gets_the_https_url),
        TEST(grpc_in_http1_without_trailers_gets_the_way_to_use),
    };
    return cmocka_run_group_tests_name("session/proxied", tests, NULL, NULL);
}
