/* tests/unit/net/tls_server_test.c - the server's side of TLS, in memory */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <string.h>

#include "base/own.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_ssl.h"
#include "playground/ca.h"

static struct local_ca *ca, *other_ca;
static struct loop *loop;
static X509 *certificate;
static EVP_PKEY *key;
static struct tls_context *server_context, *client_context;
static struct stream *client, *server;

static void run(void)
{
    sched_run(loop_sched(loop), loop_sched(loop)->now);
}

static void read_identity(const struct identity *id)
{
    BIO *bio = BIO_new_mem_buf(id->certificate, -1);

    certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(id->key, -1);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_true(certificate && key);
}

static int make_authorities(void **state)
{
    (void)state;
    static const char *const names[] = { "web.test", NULL };
    struct certificate_request request = {
        .common_name = "server", .names = names, .server = true, .days = 1
    };
    struct identity id = { 0 };
    struct diag why;

    assert_int_equal(local_ca_create("test authority", &ca, &why), OK);
    assert_int_equal(local_ca_create("another authority", &other_ca, &why), OK);
    assert_int_equal(local_ca_issue(ca, &request, &id, &why), OK);
    read_identity(&id);
    identity_finish(&id);
    return 0;
}

static int drop_authorities(void **state)
{
    (void)state;
    X509_free(certificate);
    EVP_PKEY_free(key);
    local_ca_destroy(ca);
    local_ca_destroy(other_ca);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    loop = loop_create();
    server_context = tls_context_of_server(certificate, key, "\x02h2\x08http/1.1");
    assert_non_null(server_context);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    stream_close(TAKE(client));
    stream_close(TAKE(server));
    tls_context_unref(TAKE(client_context));
    tls_context_unref(TAKE(server_context));
    loop_destroy(TAKE(loop));
    return 0;
}

static void trust(const struct local_ca *authority, const char *alpn)
{
    AUTO(tls_identity_unrefp) struct tls_identity *identity = NULL;
    struct tls_identity_settings settings = {
        .ca = { local_ca_certificate(authority), "ca" },
    };
    struct diag why;

    assert_int_equal(tls_identity_create(&settings, &identity, NULL, &why), OK);
    tls_context_unref(client_context);
    client_context = tls_context_of(identity, alpn);
}

/* Before anything is sent. */
static void join(void)
{
    struct stream_pair ends =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);

    stream_close(TAKE(client));
    stream_close(TAKE(server));
    client = tls_client_open(loop, client_context, ends.a, "web.test");
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context, ends.b);
}

static void expect_protocol(const char *alpn, const char *expected)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;

    trust(ca, alpn);
    join();
    run();
    assert_true(tls_ready(server));
    SSL_get0_alpn_selected(tls_ssl(server), &chosen, &len);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(chosen, expected, len);
}

static void the_first_protocol_that_both_speak_is_chosen(void **state)
{
    (void)state;
    expect_protocol("h2", "h2");
    expect_protocol("http/1.1", "http/1.1");
    expect_protocol(NULL, "");
}

static void a_client_of_other_protocols_gets_an_alert(void **state)
{
    (void)state;
    trust(ca, "ftp");
    join();
    run();
    assert_true(server->broken);
    assert_non_null(strstr(client->end.why.text, "HTTP/1.1"));
    assert_false(tls_is_mistrusted(server));
}

static void a_client_that_mistrusts_the_certificate_is_noticed(void **state)
{
    (void)state;
    trust(other_ca, NULL);
    join();
    run();
    assert_true(server->broken);
    assert_true(tls_is_mistrusted(server));
    assert_non_null(strstr(server->end.why.text, "unknown ca"));
}

static void a_renegotiation_is_refused(void **state)
{
    (void)state;
    trust(ca, NULL);
    join();
    SSL_set_max_proto_version(tls_ssl(client), TLS1_2_VERSION);
    SSL_clear_options(tls_ssl(client), SSL_OP_NO_RENEGOTIATION);
    run();
    assert_true(tls_ready(server));
    assert_int_equal(SSL_renegotiate(tls_ssl(client)), 1);
    SSL_do_handshake(tls_ssl(client));
    stream_update(client);
    run();
    bufq_write(&client->out, "x", 1);
    stream_update(client);
    run();
    assert_int_equal(SSL_get_state(tls_ssl(server)), TLS_ST_OK);
    assert_true(client->broken);
    assert_non_null(strstr(client->end.why.text, "renegotiation"));
}

static void a_session_is_resumed_by_its_ticket(void **state)
{
    (void)state;
    trust(ca, NULL);
    join();
    run();
    assert_false(SSL_session_reused(tls_ssl(server)));
    join();
    run();
    assert_true(tls_ready(server));
    assert_true(SSL_session_reused(tls_ssl(server)));
}

static void the_fastest_cipher_suite_is_chosen(void **state)
{
    (void)state;
    trust(ca, NULL);
    join();
    run();
    assert_string_equal(SSL_get_cipher_name(tls_ssl(server)), "TLS_AES_128_GCM_SHA256");
}

static void a_hello_byte_by_byte_is_accepted(void **state)
{
    (void)state;
    uint8_t hello[2048];
    struct stream_pair wire =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);
    struct stream_pair far =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);

    trust(ca, NULL);
    client = tls_client_open(loop, client_context, wire.a, "web.test");
    server = tls_server_open(loop_sched(loop), loop_pool(loop), server_context, far.a);
    run();
    size_t len = bufq_read(&wire.b->in, hello, sizeof(hello));
    assert_in_range(len, 100, sizeof(hello) - 1);
    for (size_t i = 0; i < len; i++) {
        assert_true(bufq_empty(&far.b->in));
        bufq_write(&far.b->out, hello + i, 1);
        stream_update(far.b);
        run();
    }
    assert_false(bufq_empty(&far.b->in)); /* the ServerHello */
    assert_false(server->broken);
    stream_close(wire.b);
    stream_close(far.b);
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *other = EVP_EC_gen("P-256");

    assert_null(tls_context_of_server(certificate, other, NULL));
    EVP_PKEY_free(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(the_first_protocol_that_both_speak_is_chosen),
        TEST(a_client_of_other_protocols_gets_an_alert),
        TEST(a_client_that_mistrusts_the_certificate_is_noticed),
        TEST(a_renegotiation_is_refused),
        TEST(a_session_is_resumed_by_its_ticket),
        TEST(the_fastest_cipher_suite_is_chosen),
        TEST(a_hello_byte_by_byte_is_accepted),
        TEST(a_key_of_another_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, make_authorities, drop_authorities);
}
