/* tests/unit/net/transfer_tls_test.c - which servers a transfer trusts, and how it reports that it
 * does not */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "certificates.h"
#include "http_server.h"
#include "net/transfer.h"

/* The parts of an identity. */
struct trust {
    const char *ca, *certificate, *key, *server_name;
    bool insecure;
};

struct bench {
    struct loop *loop;
    struct transfers *transfers;
    struct http_server *server;
    struct issued ca, outsider, user;
    SSL_CTX *context;
    char sni[64], client[64], request[REQUEST_MAX]; /* of the last connection */
    struct transfer *transfer;
    unsigned connections; /* with a complete handshake */
    bool keeps;           /* connections are kept open */
    bool renegotiates;    /* requests a renegotiation after each answer (TLS 1.2) */
};

static void note_peer(struct bench *b, SSL *ssl)
{
    X509 *peer = SSL_get1_peer_certificate(ssl);
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    snprintf(b->sni, sizeof(b->sni), "%s", sni ? sni : "");
    b->client[0] = '\0';
    if (peer)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, b->client,
                                  sizeof(b->client));
    X509_free(peer);
}

static void serve(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    SSL *ssl = SSL_new(b->context);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    int n = 0;
    (void)nth;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        b->connections++;
        do {
            n = SSL_read(ssl, b->request, sizeof(b->request) - 1);
            if (n <= 0)
                break;
            b->request[n] = '\0';
            note_peer(b, ssl);
            SSL_write(ssl, answer, sizeof(answer) - 1);
            if (b->renegotiates && SSL_renegotiate(ssl) == 1)
                SSL_do_handshake(ssl);
        } while (b->keeps);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    shutdown(fd, SHUT_WR);
    while (recv(fd, &n, 1, 0) > 0)
        ; /* no reset before the client has read our bytes */
}

/* The server's certificate is for `names` and valid until then. */
static void bench_open(struct bench *b, const char *names, long from, long until)
{
    *b = (struct bench){ 0 };
    b->ca = issue("our authority", NULL, NULL, -DAY, DAY);
    b->outsider = issue("another authority", NULL, NULL, -DAY, DAY);
    b->user = issue("somebody", "DNS:somebody", &b->ca, -DAY, DAY);
    struct issued server = issue("server", names, &b->ca, from, until);
    b->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(b->context, server.certificate);
    SSL_CTX_use_PrivateKey(b->context, server.key);
    issued_finish(&server);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(b->context), b->ca.certificate);
    SSL_CTX_set_verify(b->context, SSL_VERIFY_PEER, NULL);
    b->loop = loop_create();
    b->transfers = transfers_create(b->loop);
    b->server = http_server_create(serve, b);
}

static void bench_close(struct bench *b)
{
    transfer_close(b->transfer);
    transfers_destroy(b->transfers);
    http_server_destroy(b->server);
    loop_destroy(b->loop);
    SSL_CTX_free(b->context);
    issued_finish(&b->ca);
    issued_finish(&b->outsider);
    issued_finish(&b->user);
}

static struct tls_identity *identity_of(const struct trust *tls)
{
    struct tls_identity *identity = NULL;
    struct tls_identity_settings settings = { .ca = { tls->ca, "ca" },
                                              .certificate = { tls->certificate, "cert" },
                                              .key = { tls->key, "key" },
                                              .server_name = tls->server_name,
                                              .insecure = tls->insecure };
    struct diag why = { "" };

    if (tls_identity_create(&settings, &identity, NULL, &why))
        fail_msg("%s", why.text);
    return identity;
}

static const struct transfer *get_with(struct bench *b, struct tls_identity *identity)
{
    char url[64];
    struct transfer_request r = {
        .method = "GET", .url = url, .identity = identity, .timeout_ms = 5000, .proxy = ""
    };

    transfer_close(b->transfer);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/x", http_server_port(b->server));
    b->transfer = transfer_open(b->transfers, &r, NULL);
    for (int turn = 0; b->transfer->result == ERR_AGAIN && turn < 400; turn++)
        loop_run_once(b->loop, 20);
    return b->transfer;
}

static const struct transfer *get(struct bench *b, const struct trust *tls)
{
    AUTO(tls_identity_unrefp) struct tls_identity *identity = identity_of(tls);

    return get_with(b, identity);
}

static void assert_fails(struct bench *b, const struct trust *tls, const char *expected)
{
    const struct transfer *x = get(b, tls);

    if (x->result != ERR_TLS || !strstr(x->why.text, expected) ||
        !strstr(x->why.text, "127.0.0.1:"))
        fail_msg("%s: %s", err_text(x->result), x->why.text);
}

static void assert_works(struct bench *b, const struct trust *tls)
{
    const struct transfer *x = get(b, tls);

    if (x->result || x->status != 200)
        fail_msg("%s: %s", err_text(x->result), x->why.text);
}

static void trusts_the_given_authority_and_no_other(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -DAY, DAY);
    struct trust ours = { .ca = b.ca.certificate_pem };
    struct trust other = { .ca = b.outsider.certificate_pem };
    struct trust systems = { 0 }, any = { .insecure = true };

    assert_works(&b, &ours);
    assert_string_equal(b.sni, ""); /* an address has none */
    assert_fails(&b, &other, "its certificate is signed by an unknown authority");
    assert_fails(&b, &systems, "its certificate is signed by an unknown authority");
    assert_works(&b, &any);
    bench_close(&b);
}

static void an_expired_certificate_is_named(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -2 * DAY, -DAY);
    struct trust tls = { .ca = b.ca.certificate_pem };
    assert_fails(&b, &tls, "its certificate has expired");
    bench_close(&b);

    bench_open(&b, "IP:127.0.0.1", DAY, 2 * DAY);
    tls.ca = b.ca.certificate_pem;
    assert_fails(&b, &tls, "its certificate is not valid yet");
    bench_close(&b);
}

static void the_given_server_name_is_verified(void **state)
{
    (void)state;
    struct bench b;
    char host[64];
    bench_open(&b, "DNS:api.example", -DAY, DAY);
    struct trust plain = { .ca = b.ca.certificate_pem };
    struct trust named = { .ca = b.ca.certificate_pem, .server_name = "api.example" };
    struct trust wrong = { .ca = b.ca.certificate_pem, .server_name = "api.other" };

    assert_fails(&b, &plain,
                 "its certificate is for another name (api.example, not "
                 "127.0.0.1)");
    assert_works(&b, &named);
    assert_string_equal(b.sni, "api.example");
    snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n",
             http_server_port(b.server));
    assert_non_null(strstr(b.request, host));
    assert_null(strstr(b.request, "api.example"));
    assert_fails(&b, &wrong,
                 "its certificate is for another name (api.example, not api.other)");
    struct trust dotted = { .ca = b.ca.certificate_pem, .server_name = "api.example." };
    assert_works(&b, &dotted);
    assert_string_equal(b.sni, "api.example");
    bench_close(&b);
}

static void the_client_certificate_is_sent(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -DAY, DAY);
    struct trust tls = { .ca = b.ca.certificate_pem,
                         .certificate = b.user.certificate_pem,
                         .key = b.user.key_pem };
    struct trust none = { .ca = b.ca.certificate_pem };

    assert_works(&b, &tls);
    assert_string_equal(b.client, "somebody");
    SSL_CTX_set_verify(b.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    assert_fails(&b, &none, "it requires a client certificate, and none is configured (");
    bench_close(&b);
}

/* After a certificate was rotated, connections with the old one are not used with the new
 * one. */
static void keeps_the_connections_of_identities_apart(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -DAY, DAY);
    b.keeps = true;
    struct issued other = issue("other user", "DNS:other", &b.ca, -DAY, DAY);
    struct trust trust = { .ca = b.ca.certificate_pem,
                           .certificate = b.user.certificate_pem,
                           .key = b.user.key_pem };
    struct tls_identity *first = identity_of(&trust);
    struct tls_identity *same = identity_of(&trust);
    trust.certificate = other.certificate_pem;
    trust.key = other.key_pem;
    struct tls_identity *second = identity_of(&trust);

    assert_int_equal(get_with(&b, first)->result, OK);
    assert_int_equal(get_with(&b, first)->result, OK);
    assert_int_equal(b.connections, 1);
    assert_string_equal(b.client, "somebody");
    assert_int_equal(get_with(&b, second)->result, OK);
    assert_int_equal(b.connections, 2);
    assert_string_equal(b.client, "other user");
    assert_int_equal(get_with(&b, first)->result, OK);
    assert_string_equal(b.client, "somebody");
    assert_int_equal(b.connections, 2);
    assert_int_equal(get_with(&b, same)->result, OK);
    assert_int_equal(b.connections, 3);
    tls_identity_unref(first);
    tls_identity_unref(same);
    tls_identity_unref(second);
    issued_finish(&other);
    bench_close(&b);
}

/* The transfer that made the connection is gone when the server requests a renegotiation. */
static void a_renegotiation_does_not_verify_the_server_again(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -DAY, DAY);
    SSL_CTX_set_max_proto_version(b.context, TLS1_2_VERSION);
    b.keeps = b.renegotiates = true;
    struct trust trust = { .ca = b.ca.certificate_pem };

    assert_works(&b, &trust);
    transfer_close(TAKE(b.transfer));
    for (int turn = 0; turn < 10; turn++)
        loop_run_once(b.loop, 10);
    assert_works(&b, &trust);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusts_the_given_authority_and_no_other),
        cmocka_unit_test(an_expired_certificate_is_named),
        cmocka_unit_test(the_given_server_name_is_verified),
        cmocka_unit_test(the_client_certificate_is_sent),
        cmocka_unit_test(keeps_the_connections_of_identities_apart),
        cmocka_unit_test(a_renegotiation_does_not_verify_the_server_again),
    };
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that are closed already */
    return cmocka_run_group_tests_name("net/transfer_tls", tests, NULL, NULL);
}
