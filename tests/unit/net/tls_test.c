/* tests/unit/net/tls_test.c - a TLS client and server, with their records visible to the
 * test
 *
 * Client and server use a pair of streams in memory, with a tap between that counts
 * records and can cut the connection.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authorities.h"
#include "base/own.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "playground/tls_server.h"

static struct loop *loop;
static struct tls_context *client_context, *server_context;
static struct stream *client, *server;
static struct task wake;

static void on_wake(struct task *task)
{
    (void)task;
}

static void run(void)
{
    sched_run(loop_sched(loop), loop_sched(loop)->now);
}

static struct stream *below(const struct stream *s)
{
    return s->ops->below(s);
}

struct setup {
    unsigned days;
    const char *server_alpn, *client_alpn;
    const struct local_ca *trusted;
    bool insecure, client_certificate;
};
static const struct setup usual = { .days = 1 };

static void make_contexts(const struct setup *setup)
{
    static const char *const names[] = { "api.test", "127.0.0.1", "::1", NULL };
    struct certificate_request request = {
        .common_name = "server", .names = names, .server = true, .days = setup->days
    };
    struct certificate_request user = { .common_name = "dev", .days = 1 };
    struct identity id = { 0 }, user_id = { 0 };
    struct diag why;

    assert_int_equal(local_ca_issue(ca, &request, &id, &why), OK);
    assert_int_equal(local_ca_issue(ca, &user, &user_id, &why), OK);
    struct tls_server_settings for_server = { .ca = local_ca_certificate(ca),
                                              .certificate = id.certificate,
                                              .key = id.key,
                                              .alpn = setup->server_alpn,
                                              .request_client_certificate =
                                                  setup->client_certificate };
    struct tls_identity_settings for_client = {
        .ca = { local_ca_certificate(setup->trusted ? setup->trusted : ca), "authority" },
        .certificate = { setup->client_certificate ? user_id.certificate : NULL,
                         "certificate" },
        .key = { setup->client_certificate ? user_id.key : NULL, "key" },
        .insecure = setup->insecure,
    };
    AUTO(tls_identity_unrefp) struct tls_identity *identity = NULL;
    assert_int_equal(tls_server_context(&for_server, &server_context, &why), OK);
    assert_int_equal(tls_identity_create(&for_client, &identity, NULL, &why), OK);
    client_context = tls_context_of(identity, setup->client_alpn);
    identity_finish(&id);
    identity_finish(&user_id);
}

static void drop_contexts(void)
{
    tls_context_unref(TAKE(client_context));
    tls_context_unref(TAKE(server_context));
}

static void connect_pair(const char *name)
{
    struct stream_pair ends =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);
    client = tls_client_open(loop, client_context, ends.a, name);
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context, ends.b);
    client->wake = server->wake = &wake;
}

static void disconnect_pair(void)
{
    stream_close(TAKE(client));
    stream_close(TAKE(server));
    run();
}

static int begin(void **state)
{
    (void)state;
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    make_contexts(&usual);
    return 0;
}

static int end(void **state)
{
    (void)state;
    disconnect_pair();
    drop_contexts();
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}

static void with(struct setup setup, const char *name)
{
    drop_contexts();
    make_contexts(&setup);
    connect_pair(name);
    run();
}

static void expect_end(enum verdict verdict, const char *expected)
{
    assert_false(tls_ready(client) && !client->broken);
    assert_int_equal(client->end.verdict, verdict);
    assert_true(client->in_eof && client->broken);
    if (!strstr(client->end.why.text, expected))
        fail_msg("it says: %s", client->end.why.text);
}

static void expect_refused(const char *expected)
{
    expect_end(V_RESET, expected);
}

static void bytes_put_before_the_handshake_arrive_after_it(void **state)
{
    (void)state;
    char got[8];

    connect_pair("api.test");
    bufq_write(&client->out, "early", 5);
    assert_false(tls_ready(client));
    run();
    assert_true(tls_ready(client) && tls_ready(server));
    assert_int_equal(bufq_read(&server->in, got, sizeof(got)), 5);
    assert_memory_equal(got, "early", 5);
}

static void names_and_addresses_are_verified(void **state)
{
    (void)state;
    static const char *const good[] = { "api.test", "127.0.0.1", "::1" };
    static const char *const bad[] = { "other.test", "127.0.0.2", "::2", "test" };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        connect_pair(good[i]);
        run();
        assert_true(tls_ready(client));
        disconnect_pair();
        drop_contexts();
        make_contexts(&usual);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        connect_pair(bad[i]);
        run();
        expect_refused("certificate");
        disconnect_pair();
    }
}

static void an_unknown_authority_is_refused(void **state)
{
    (void)state;

    with((struct setup){ .days = 1, .trusted = other_ca }, "api.test");
    expect_refused("certificate");
    run();
    assert_true(server->broken); /* the alert came */
}

static void an_unknown_authority_is_accepted_without_verification(void **state)
{
    (void)state;

    with((struct setup){ .days = 1, .trusted = other_ca, .insecure = true },
         "other.test");
    assert_true(tls_ready(client));
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;

    with((struct setup){ .days = 0 }, "api.test");
    expect_refused("expired");
}

static void alpn_protocols_must_agree(void **state)
{
    (void)state;

    with((struct setup){ .days = 1,
                         .server_alpn = "\x08http/1.1",
                         .client_alpn = "http/1.1" },
         "api.test");
    assert_true(tls_ready(client));
    disconnect_pair();
    with((struct setup){ .days = 1, .server_alpn = "\x02h2", .client_alpn = "http/1.1" },
         "api.test");
    expect_refused("it does not speak HTTP/1.1, which tunnels need");
    disconnect_pair();
    with((struct setup){ .days = 1, .client_alpn = "http/1.1" }, "api.test");
    assert_true(tls_ready(client)); /* a server that knows no ALPN */
}

static void a_client_may_send_a_certificate(void **state)
{
    (void)state;
    char name[32];

    with((struct setup){ .days = 1, .client_certificate = true }, "api.test");
    assert_true(tls_ready(server));
    assert_true(tls_peer_name(server, name, sizeof(name)));
    assert_string_equal(name, "dev");
    disconnect_pair();
    with(usual, "api.test");
    assert_false(tls_peer_name(server, name, sizeof(name)));
}

/* OpenSSL verifies no name if it was given none, or one that it does not accept. */
static void a_name_that_cannot_be_verified_ends_the_connection(void **state)
{
    (void)state;
    char long_name[300];

    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const char *const names[] = { "", long_name };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        connect_pair(names[i]);
        run();
        assert_true(client->broken);
        assert_false(tls_ready(client));
        assert_string_equal(client->end.why.text,
                            "TLS: the server's name is none to verify");
        disconnect_pair();
    }
}

static void bad_pem_is_named(void **state)
{
    (void)state;
    struct tls_context *none = NULL;
    struct diag why;
    struct tls_server_settings cases[] = { { .ca = "junk" }, { .certificate = "junk" } };
    static const char *const expected[] = { "certificate authority: holds no PEM",
                                            "certificate: holds no PEM" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(tls_server_context(&cases[i], &none, &why), ERR_TLS);
        assert_null(none);
        assert_non_null(strstr(why.text, expected[i]));
    }
}

/* ---- records ---- */

/* A client above a socket pair; the test copies the other end by hand to the server. */
struct wire {
    int client_fd, server_fd;
    unsigned records; /* of application data, from client to server */
    size_t bytes;     /* both ways */
    uint8_t head[5];
    size_t head_len, left;
};

static void count_records(struct wire *w, const uint8_t *at, size_t n)
{
    for (; n; at++, n--) {
        if (w->left) {
            w->left--;
            continue;
        }
        w->head[w->head_len++] = *at;
        if (w->head_len < sizeof(w->head))
            continue;
        w->records += w->head[0] == 23;
        w->left = (size_t)w->head[3] << 8 | w->head[4];
        w->head_len = 0;
    }
}

static void carry(struct wire *w)
{
    static uint8_t bytes[100000];
    for (int quiet = 0; quiet < 4; quiet++) {
        loop_run_once(loop, 0);
        ssize_t n = recv(w->client_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            count_records(w, bytes, (size_t)n);
            assert_int_equal(send(w->server_fd, bytes, (size_t)n, 0), n);
            quiet = 0;
        }
        ssize_t back = recv(w->server_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (back > 0) {
            assert_int_equal(send(w->client_fd, bytes, (size_t)back, 0), back);
            quiet = 0;
        }
        w->bytes += (n > 0 ? (size_t)n : 0) + (back > 0 ? (size_t)back : 0);
    }
}

static void wire_open(struct wire *w)
{
    int a[2], b[2];

    *w = (struct wire){ 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    client =
        tls_client_open(loop, client_context, tcp_open(loop, a[0], 0, 0), "api.test");
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context,
                             tcp_open(loop, b[0], 0, 0));
    client->wake = server->wake = &wake;
    assert_int_equal(tcp_fd(client), a[0]);
    w->client_fd = a[1];
    w->server_fd = b[1];
    carry(w);
    assert_true(tls_ready(client) && tls_ready(server));
}

static void wire_close(struct wire *w)
{
    disconnect_pair();
    close(w->client_fd);
    close(w->server_fd);
}

static void tiny_writes_of_a_turn_are_one_record(void **state)
{
    (void)state;
    struct wire w;

    wire_open(&w);
    unsigned before = w.records;
    for (int i = 0; i < 200; i++) {
        bufq_write(&client->out, "tiny", 4);
        stream_update(client);
    }
    carry(&w);
    assert_int_equal(w.records, before + 1);
    assert_int_equal(server->in.len, 800);
    static const uint8_t zeros[60000];
    bufq_write(&client->out, zeros, sizeof(zeros));
    stream_update(client);
    carry(&w);
    assert_in_range(w.records, before + 5, before + 6);
    wire_close(&w);
}

/* The second handshake shows no certificate again. */
static void a_second_connection_resumes_the_session(void **state)
{
    (void)state;
    struct wire w;

    wire_open(&w);
    size_t full = w.bytes;
    bufq_write(&server->out, "x", 1); /* the ticket is received with the first bytes */
    stream_update(server);
    carry(&w);
    wire_close(&w);
    wire_open(&w);
    assert_true(w.bytes + 400 < full);
    wire_close(&w);
}

/* ---- transfers and ends ---- */

#define AMOUNT (2 * 1024 * 1024)

static uint8_t byte_at(size_t i, int way)
{
    return (uint8_t)(i * 11 + i / 509 + (size_t)way);
}

static size_t push(struct stream *s, size_t sent, int way)
{
    uint8_t part[9001];
    size_t n = bufq_room(&s->out);
    n = n < sizeof(part) ? n : sizeof(part);
    n = n < AMOUNT - sent ? n : AMOUNT - sent;
    for (size_t i = 0; i < n; i++)
        part[i] = byte_at(sent + i, way);
    bufq_write(&s->out, part, n);
    stream_update(s);
    return n;
}

static size_t pull(struct stream *s, size_t got, int way)
{
    uint8_t part[7001];
    size_t n = bufq_read(&s->in, part, sizeof(part));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(part[i], byte_at(got + i, way));
    stream_update(s);
    return n;
}

static void large_transfers_go_both_ways_at_once(void **state)
{
    (void)state;
    size_t up = 0, down = 0, got_up = 0, got_down = 0;

    connect_pair("api.test");
    for (int turn = 0; got_up < AMOUNT || got_down < AMOUNT; turn++) {
        assert_true(turn < 100000);
        up += push(client, up, 1);
        down += push(server, down, 2);
        run();
        got_up += turn % 3 ? pull(server, got_up, 1) : 0;
        got_down += turn % 2 ? pull(client, got_down, 2) : 0;
        assert_true(loop_pool(loop)->live < 64);
    }
    assert_int_equal(got_up, AMOUNT);
    assert_int_equal(got_down, AMOUNT);
}

static void a_shutdown_is_an_orderly_end_one_way(void **state)
{
    (void)state;

    connect_pair("api.test");
    bufq_write(&client->out, "bye", 3);
    stream_shutdown(client);
    run();
    assert_int_equal(server->in.len, 3);
    assert_true(server->in_eof);
    assert_int_equal(server->end.verdict, V_CLEAN);
    bufq_write(&server->out, "answer", 6);
    stream_update(server);
    run();
    assert_int_equal(client->in.len, 6);
    assert_int_equal(client->end.verdict, V_OPEN);
}

/* An attacker that cuts the TCP connection cannot simulate the end of the stream. */
static void an_end_without_close_notify_is_a_reset(void **state)
{
    (void)state;
    struct wire w;

    for (int how = 0; how < 3; how++) {
        wire_open(&w);
        bufq_write(&client->out, "not all of it", 13);
        stream_update(client);
        carry(&w);
        if (how == 1)
            send(w.server_fd, "\x17\x03\x03\x00\x40half a record", 18, 0);
        if (how == 2)
            send(w.server_fd, "junk that is no record at all", 29, 0);
        shutdown(w.server_fd, SHUT_WR);
        carry(&w);
        assert_int_equal(server->end.verdict, V_RESET);
        assert_true(server->broken);
        assert_true(server->end.why.text[0]);
        assert_int_equal(server->in.len, 13);
        wire_close(&w);
    }
}

static void an_end_during_the_handshake_is_named(void **state)
{
    (void)state;
    struct stream_pair ends =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);

    client = tls_client_open(loop, client_context, ends.a, "api.test");
    run();
    assert_false(bufq_empty(&ends.b->in)); /* the hello */
    stream_shutdown(ends.b);
    run();
    expect_end(V_REFUSED, "closed during the TLS handshake");
    assert_int_equal(tls_report(client)->fault, TLS_FAULT_ENDED);
    stream_close(ends.b);
}

static void closing_sends_written_bytes_and_close_notify(void **state)
{
    (void)state;
    int fds[2];

    /* On a real socket, because tcp_close sends it. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    client =
        tls_client_open(loop, client_context, tcp_open(loop, fds[0], 0, 0), "api.test");
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context,
                             tcp_open(loop, fds[1], 0, 0));
    for (int i = 0; i < 50 && !(tls_ready(client) && tls_ready(server)); i++)
        loop_run_once(loop, 10);
    stream_close(TAKE(client));
    for (int i = 0; i < 50 && !server->in_eof; i++)
        loop_run_once(loop, 10);
    assert_int_equal(server->end.verdict, V_CLEAN);
}

static void a_paused_stream_reads_nothing(void **state)
{
    (void)state;
    static const uint8_t zeros[50000];

    connect_pair("api.test");
    run();
    server->paused = true;
    stream_update(server);
    bufq_write(&client->out, zeros, sizeof(zeros));
    stream_update(client);
    run();
    assert_int_equal(server->in.len, 0);
    server->paused = false;
    stream_update(server);
    run();
    assert_int_equal(server->in.len, sizeof(zeros));
}

/* OpenSSL would keep a buffer for it. */
static void a_partial_record_stays_queued(void **state)
{
    (void)state;
    static uint8_t bytes[20000];
    struct wire w;

    wire_open(&w);
    bufq_write(&client->out, bytes, 16000);
    stream_update(client);
    loop_run_once(loop, 0);
    ssize_t n = recv(w.client_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_in_range(n, 16001, 16100);
    assert_int_equal(send(w.server_fd, bytes, 9000, 0), 9000);
    carry(&w);
    assert_int_equal(below(server)->in.len, 9000);
    assert_int_equal(send(w.server_fd, bytes + 9000, (size_t)n - 9000, 0), n - 9000);
    carry(&w);
    assert_int_equal(server->in.len, 16000);
    assert_true(bufq_empty(&below(server)->in));
    wire_close(&w);
}

static void a_stuck_transport_makes_the_stream_stuck(void **state)
{
    (void)state;

    connect_pair("api.test");
    run();
    below(client)->stuck = true;
    stream_update(client);
    run();
    assert_true(client->stuck);
    below(client)->stuck = false;
    stream_update(client);
    run();
    assert_false(client->stuck);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(bytes_put_before_the_handshake_arrive_after_it),
        TEST(names_and_addresses_are_verified),
        TEST(a_name_that_cannot_be_verified_ends_the_connection),
        TEST(an_unknown_authority_is_refused),
        TEST(an_unknown_authority_is_accepted_without_verification),
        TEST(an_expired_certificate_is_refused),
        TEST(alpn_protocols_must_agree),
        TEST(a_client_may_send_a_certificate),
        TEST(bad_pem_is_named),
        TEST(tiny_writes_of_a_turn_are_one_record),
        TEST(a_second_connection_resumes_the_session),
        TEST(large_transfers_go_both_ways_at_once),
        TEST(a_shutdown_is_an_orderly_end_one_way),
        TEST(an_end_without_close_notify_is_a_reset),
        TEST(an_end_during_the_handshake_is_named),
        TEST(closing_sends_written_bytes_and_close_notify),
        TEST(a_paused_stream_reads_nothing),
        TEST(a_partial_record_stays_queued),
        TEST(a_stuck_transport_makes_the_stream_stuck),
    };
    return cmocka_run_group_tests_name("net/tls", tests, authorities_make,
                                       authorities_drop);
}
