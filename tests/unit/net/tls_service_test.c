/* tests/unit/net/tls_service_test.c - TLS towards a service: which certificates are accepted,
 * and what is reported of one that is not */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authorities.h"
#include "base/own.h"
#include "net/tls_service.h"
#include "playground/tls_server.h"

static const char *const service_names[] = { "web.shop.svc.cluster.local", "web.shop.svc",
                                             "web.shop", NULL };

static struct loop *loop;
static struct tls_trust *trust;
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

struct offer {
    const char *name; /* in the certificate; or NULL: the first of the service */
    unsigned days;
    const struct local_ca *by;
    const char *alpn;
};

static void serve(struct offer offer)
{
    const struct offered offered = { .name = offer.name ? offer.name : service_names[0],
                                     .by = offer.by ? offer.by : ca,
                                     .days = offer.days,
                                     .alpn = offer.alpn };

    tls_context_unref(server_context);
    server_context = context_of_server(&offered);
}

static void expect(struct tls_service_settings settings)
{
    settings.trust = trust;
    if (!settings.names)
        settings.names = service_names;
    tls_context_unref(client_context);
    client_context = tls_context_of_service(&settings);
}

static struct stream_pair open_pair(void)
{
    return mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);
}

static void connect_to(struct stream *below, bool http2)
{
    client =
        tls_service_open(loop_sched(loop), loop_pool(loop), client_context, below, http2);
    client->wake = &wake;
}

static void connect(bool http2)
{
    struct stream_pair ends = open_pair();

    connect_to(ends.a, http2);
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context, ends.b);
    server->wake = &wake;
    run();
}

static void disconnect(void)
{
    stream_close(TAKE(client));
    stream_close(TAKE(server));
    run();
}

static int begin(void **state)
{
    (void)state;
    struct tls_pem pem = { local_ca_certificate(ca), "authority" };

    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    trust = tls_trust_create(false);
    return tls_trust_add(trust, &pem, NULL) == OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    disconnect();
    tls_context_unref(TAKE(client_context));
    tls_context_unref(TAKE(server_context));
    tls_trust_unref(TAKE(trust));
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}

static void expect_ready(void)
{
    if (!tls_ready(client) || client->broken)
        fail_msg("not connected: %s", client->end.why.text);
    assert_null(tls_report(client));
}

static const struct tls_report *expect_refused(const char *why)
{
    const struct tls_report *r = tls_report(client);

    assert_true(client->broken && r);
    assert_int_equal(client->end.verdict, V_RESET);
    assert_int_equal(r->fault, TLS_FAULT_CERTIFICATE);
    if (!strstr(r->why.text, why))
        fail_msg("its certificate %s", r->why.text);
    return r;
}

static void each_name_of_the_service_is_accepted(void **state)
{
    (void)state;

    expect((struct tls_service_settings){ 0 });
    for (size_t i = 0; service_names[i]; i++) {
        serve((struct offer){ .name = service_names[i], .days = 1 });
        connect(false);
        expect_ready();
        disconnect();
    }
}

static void bytes_go_both_ways_after_the_handshake(void **state)
{
    (void)state;

    serve((struct offer){ .days = 1 });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    bufq_write(&client->out, "request", 7);
    stream_update(client);
    run();
    assert_int_equal(server->in.len, 7);
    bufq_write(&server->out, "response", 8);
    stream_update(server);
    run();
    assert_int_equal(client->in.len, 8);
}

static void another_name_is_refused_and_listed(void **state)
{
    (void)state;

    serve((struct offer){ .name = "other.shop.svc", .days = 1 });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    const struct tls_report *r =
        expect_refused("is for another name (other.shop.svc, not "
                       "web.shop.svc.cluster.local)");
    assert_string_equal(r->certificate.names, "other.shop.svc");
}

static void an_unknown_issuer_is_refused_with_facts_of_the_certificate(void **state)
{
    (void)state;

    serve((struct offer){ .days = 1, .by = other_ca });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    const struct tls_certificate *c =
        &expect_refused("is signed by an unknown authority")->certificate;
    assert_non_null(strstr(c->subject, "CN = web"));
    assert_non_null(strstr(c->issuer, "CN = another authority"));
    assert_string_equal(c->names, service_names[0]);
    assert_non_null(strstr(c->expires, " UTC"));
    assert_int_equal(strlen(c->sha256), 64);
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;

    serve((struct offer){ .days = 0 });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    expect_refused("has expired (");
}

static void without_verification_any_certificate_is_accepted(void **state)
{
    (void)state;

    serve((struct offer){ .name = "other.shop.svc", .days = 0, .by = other_ca });
    expect((struct tls_service_settings){ .unverified = true });
    connect(false);
    expect_ready();
}

static void pin_of(const char *hex, uint8_t pin[TLS_PIN_SIZE])
{
    for (size_t i = 0; i < TLS_PIN_SIZE; i++) {
        char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
        pin[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
}

static void only_the_pinned_certificate_is_accepted(void **state)
{
    (void)state;
    uint8_t pin[TLS_PIN_SIZE] = { 1 };

    serve((struct offer){ .name = "other.shop.svc", .days = 0, .by = other_ca });
    expect((struct tls_service_settings){ .pin = pin });
    connect(false);
    pin_of(expect_refused("is not the pinned one")->certificate.sha256, pin);
    disconnect();
    expect((struct tls_service_settings){ .pin = pin });
    connect(false);
    expect_ready();
    disconnect();
    serve((struct offer){ .days = 1 });
    expect((struct tls_service_settings){ .pin = pin });
    connect(false);
    expect_refused("is not the pinned one");
}

static void http2_is_chosen_only_where_it_is_offered(void **state)
{
    (void)state;
    static const struct {
        const char *alpn;
        bool offer, chosen;
    } rows[] = {
        { "\x02h2", true, true },
        { "\x08http/1.1", true, false },
        { "\x08http/1.1", false, false },
        { NULL, true, false },
    };

    expect((struct tls_service_settings){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        serve((struct offer){ .days = 1, .alpn = rows[i].alpn });
        connect(rows[i].offer);
        expect_ready();
        assert_int_equal(tls_chose_http2(client), rows[i].chosen);
        disconnect();
    }
}

static void a_server_of_http2_alone_refuses_http1_with_an_alert(void **state)
{
    (void)state;

    serve((struct offer){ .days = 1, .alpn = "\x02h2" });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    assert_true(client->broken);
    assert_int_equal(tls_report(client)->fault, TLS_FAULT_ALPN);
    assert_non_null(strstr(client->end.why.text, "none of the offered protocols"));
}

static void the_second_connection_resumes_the_session(void **state)
{
    (void)state;

    serve((struct offer){ .days = 1 });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    assert_false(tls_was_resumed(client));
    disconnect();
    connect(false);
    expect_ready();
    assert_true(tls_was_resumed(client));
    disconnect();
    expect((struct tls_service_settings){ 0 }); /* another service */
    connect(false);
    assert_false(tls_was_resumed(client));
}

static void a_plain_answer_is_reported(void **state)
{
    (void)state;
    static const char *const answers[] = { "HTTP/1.1 400 Bad Request\r\n\r\n",
                                           "<!DOCTYPE HTML>", "\0\0\x12\4\0\0\0\0\0" };

    expect((struct tls_service_settings){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct stream_pair ends = open_pair();
        connect_to(ends.a, true);
        run();
        bufq_write(&ends.b->out, answers[i], 9);
        stream_update(ends.b);
        run();
        assert_true(client->broken);
        assert_int_equal(tls_report(client)->fault, TLS_FAULT_NOT_TLS);
        stream_close(ends.b);
        disconnect();
    }
}

/* A hello in pieces of one byte each way. */
static void records_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct stream_pair near = open_pair(), far = open_pair();

    serve((struct offer){ .days = 1 });
    expect((struct tls_service_settings){ 0 });
    connect_to(near.a, false);
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context, far.b);
    server->wake = &wake;
    for (int i = 0; i < 20000 && !(tls_ready(client) && tls_ready(server)); i++) {
        uint8_t byte;
        run();
        if (bufq_read(&near.b->in, &byte, 1))
            bufq_write(&far.a->out, &byte, 1);
        if (bufq_read(&far.a->in, &byte, 1))
            bufq_write(&near.b->out, &byte, 1);
        stream_update(near.b);
        stream_update(far.a);
    }
    expect_ready();
    stream_close(near.b);
    stream_close(far.a);
}

static void a_lost_transport_keeps_its_verdict(void **state)
{
    (void)state;
    static const enum verdict verdicts[] = { V_TRANSPORT_LOST, V_TARGET_GONE, V_REFUSED };

    serve((struct offer){ .days = 1 });
    expect((struct tls_service_settings){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
        for (int established = 0; established < 2; established++) {
            struct stream_pair ends = open_pair();
            connect_to(ends.a, false);
            server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context,
                                     ends.b);
            if (established)
                run();
            assert_int_equal(tls_ready(client), established);
            stream_end(ends.a, verdicts[i], "gone");
            run();
            assert_true(client->broken);
            assert_int_equal(client->end.verdict, verdicts[i]);
            disconnect();
        }
}

/* What a pool asks of a kept stream goes to the transport below. */

static struct asked {
    bool lent, alone, reusable, free;
    uint64_t patience;
} asked;

static void on_lend(struct stream *s, bool lent)
{
    (void)s;
    asked.lent = lent;
}

static void on_alone(struct stream *s, bool alone)
{
    (void)s;
    asked.alone = alone;
}

static bool on_reusable(const struct stream *s)
{
    (void)s;
    return asked.reusable;
}

static bool on_free(const struct stream *s, bool alone)
{
    (void)s;
    return asked.free && !alone;
}

static void on_patience(struct stream *s, uint64_t ms)
{
    (void)s;
    asked.patience = ms;
}

static void the_pool_reaches_the_transport_below(void **state)
{
    (void)state;
    struct stream_pair ends = open_pair();
    const struct stream_ops *plain = ends.a->ops;
    struct stream_ops ops = *plain;

    ops.lend = on_lend;
    ops.set_alone = on_alone;
    ops.is_reusable = on_reusable;
    ops.is_free = on_free;
    ops.set_patience = on_patience;
    ends.a->ops = &ops;
    expect((struct tls_service_settings){ 0 });
    connect_to(ends.a, false);
    stream_lend(client, true);
    stream_set_alone(client, true);
    stream_set_patience(client, 600);
    assert_true(asked.lent && asked.alone);
    assert_int_equal(asked.patience, 600);
    for (int yes = 0; yes < 2; yes++) {
        asked.reusable = asked.free = yes;
        assert_int_equal(stream_is_reusable(client), yes);
        assert_int_equal(stream_is_free(client, false), yes);
        assert_false(stream_is_free(client, true));
    }
    ends.a->ops = plain;
    stream_close(ends.b);
}

static void authorities_that_are_no_pem_are_named(void **state)
{
    (void)state;
    struct diag why;
    struct tls_pem pem = { "no PEM", "/etc/ca.pem" };

    assert_int_equal(tls_trust_add(trust, &pem, &why), ERR_TLS);
    assert_string_equal(why.text, "/etc/ca.pem: holds no PEM (no \"-----BEGIN\" line)");
}

/* The system's authorities are read from $SSL_CERT_FILE at the first use. */
static void the_systems_authorities_are_trusted(void **state)
{
    (void)state;
    char path[] = "/tmp/tls-service-test-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");

    assert_non_null(file);
    fputs(local_ca_certificate(other_ca), file);
    fclose(file);
    setenv("SSL_CERT_FILE", path, 1);
    tls_trust_unref(trust);
    trust = tls_trust_create(true);
    serve((struct offer){ .days = 1, .by = other_ca });
    expect((struct tls_service_settings){ 0 });
    connect(false);
    expect_ready();
    unsetenv("SSL_CERT_FILE");
    remove(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_name_of_the_service_is_accepted),
        TEST(bytes_go_both_ways_after_the_handshake),
        TEST(another_name_is_refused_and_listed),
        TEST(an_unknown_issuer_is_refused_with_facts_of_the_certificate),
        TEST(an_expired_certificate_is_refused),
        TEST(without_verification_any_certificate_is_accepted),
        TEST(only_the_pinned_certificate_is_accepted),
        TEST(http2_is_chosen_only_where_it_is_offered),
        TEST(a_server_of_http2_alone_refuses_http1_with_an_alert),
        TEST(the_second_connection_resumes_the_session),
        TEST(a_plain_answer_is_reported),
        TEST(records_may_come_byte_by_byte),
        TEST(a_lost_transport_keeps_its_verdict),
        TEST(the_pool_reaches_the_transport_below),
        TEST(authorities_that_are_no_pem_are_named),
        TEST(the_systems_authorities_are_trusted),
    };
    return cmocka_run_group_tests_name("net/tls_service", tests, authorities_make,
                                       authorities_drop);
}
