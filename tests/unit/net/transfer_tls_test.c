/* tests/unit/net/transfer_tls_test.c - whom a transfer trusts, and how it says that it
 * does not */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "http_server.h"
#include "net/transfer.h"

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem, *key_pem;
};

static char *pem_text(BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    char *text = xstrndup(at, (size_t)len);
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX about;
    X509V3_set_ctx(&about, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &about, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static const unsigned char *bytes_of(const char *text)
{
    return (const unsigned char *)text;
}

/* Valid from `from` to `until` seconds from now; names NULL: a certificate authority. */
static struct identity issue(const char *name, const char *names,
                             const struct identity *issuer, long from, long until)
{
    struct identity i = { .certificate = X509_new(), .key = EVP_EC_gen("P-256") };
    X509 *x = i.certificate, *by = issuer ? issuer->certificate : x;
    X509_NAME *subject = X509_get_subject_name(x);
    static long serial = 1;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), until);
    X509_set_pubkey(x, i.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, bytes_of(name), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(by));
    if (names)
        add_extension(x, by, NID_subject_alt_name, names);
    else
        add_extension(x, by, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x, issuer ? issuer->key : i.key, EVP_sha256()) > 0);

    BIO *certificate = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(certificate, x);
    PEM_write_bio_PrivateKey(key, i.key, NULL, NULL, 0, NULL, NULL);
    i.certificate_pem = pem_text(certificate);
    i.key_pem = pem_text(key);
    return i;
}

static void identity_finish(struct identity *i)
{
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
    free(i->certificate_pem);
    free(i->key_pem);
}

#define DAY 86400L

struct bench {
    struct loop *loop;
    struct transfers *transfers;
    struct http_server *server;
    struct identity ca, stranger, user;
    SSL_CTX *context;
    char sni[64], client[64], request[REQUEST_MAX]; /* of the last connection */
    struct transfer *transfer;
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
    if (SSL_accept(ssl) == 1)
        n = SSL_read(ssl, b->request, sizeof(b->request) - 1);
    if (n > 0) {
        b->request[n] = '\0';
        note_peer(b, ssl);
        SSL_write(ssl, answer, sizeof(answer) - 1);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    shutdown(fd, SHUT_WR);
    while (recv(fd, &n, 1, 0) > 0)
        ; /* no reset before the client has read what we had to say */
}

/* The server's certificate is for `names` and valid until then. */
static void bench_open(struct bench *b, const char *names, long from, long until)
{
    *b = (struct bench){ 0 };
    b->ca = issue("our authority", NULL, NULL, -DAY, DAY);
    b->stranger = issue("another authority", NULL, NULL, -DAY, DAY);
    b->user = issue("somebody", "DNS:somebody", &b->ca, -DAY, DAY);
    struct identity server = issue("server", names, &b->ca, from, until);
    b->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(b->context, server.certificate);
    SSL_CTX_use_PrivateKey(b->context, server.key);
    identity_finish(&server);
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
    identity_finish(&b->ca);
    identity_finish(&b->stranger);
    identity_finish(&b->user);
}

static const struct transfer *get(struct bench *b, const struct transfer_tls *tls)
{
    char url[64];
    struct transfer_request r = {
        .method = "GET", .url = url, .tls = *tls, .timeout_ms = 5000, .proxy = ""
    };

    transfer_close(b->transfer);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/x", http_server_port(b->server));
    b->transfer = transfer_open(b->transfers, &r, NULL);
    for (int turn = 0; b->transfer->result == ERR_AGAIN && turn < 400; turn++)
        loop_run_once(b->loop, 20);
    return b->transfer;
}

static void assert_fails(struct bench *b, const struct transfer_tls *tls,
                         const char *says)
{
    const struct transfer *x = get(b, tls);

    if (x->result != ERR_TLS || !strstr(x->why.text, says) ||
        !strstr(x->why.text, "127.0.0.1:"))
        fail_msg("%s: %s", err_text(x->result), x->why.text);
}

static void assert_works(struct bench *b, const struct transfer_tls *tls)
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
    struct transfer_tls ours = { .ca = b.ca.certificate_pem };
    struct transfer_tls other = { .ca = b.stranger.certificate_pem };
    struct transfer_tls systems = { 0 }, any = { .insecure = true };
    struct transfer_tls broken = { .ca = "-----BEGIN CERTIFICATE-----\nx\n" };

    assert_works(&b, &ours);
    assert_string_equal(b.sni, ""); /* an address has none */
    assert_fails(&b, &other, "its certificate is signed by an unknown authority");
    assert_fails(&b, &systems, "its certificate is signed by an unknown authority");
    assert_fails(&b, &broken, "TLS failed: ");
    assert_works(&b, &any);
    bench_close(&b);
}

static void says_that_a_certificate_is_out_of_date(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -2 * DAY, -DAY);
    struct transfer_tls tls = { .ca = b.ca.certificate_pem };
    assert_fails(&b, &tls, "its certificate has expired");
    bench_close(&b);

    bench_open(&b, "IP:127.0.0.1", DAY, 2 * DAY);
    tls.ca = b.ca.certificate_pem;
    assert_fails(&b, &tls, "its certificate is not valid yet");
    bench_close(&b);
}

static void verifies_the_name_it_was_told(void **state)
{
    (void)state;
    struct bench b;
    char host[64];
    bench_open(&b, "DNS:api.example", -DAY, DAY);
    struct transfer_tls plain = { .ca = b.ca.certificate_pem };
    struct transfer_tls named = { .ca = b.ca.certificate_pem,
                                  .server_name = "api.example" };
    struct transfer_tls wrong = { .ca = b.ca.certificate_pem,
                                  .server_name = "api.other" };

    assert_fails(&b, &plain, "its certificate is for another name");
    assert_works(&b, &named);
    assert_string_equal(b.sni, "api.example");
    snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n",
             http_server_port(b.server));
    assert_non_null(strstr(b.request, host));
    assert_null(strstr(b.request, "api.example"));
    assert_fails(&b, &wrong, "api.other");
    bench_close(&b);
}

static void shows_its_certificate(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "IP:127.0.0.1", -DAY, DAY);
    struct transfer_tls tls = { .ca = b.ca.certificate_pem,
                                .certificate = b.user.certificate_pem,
                                .key = b.user.key_pem };
    struct transfer_tls mixed = { .ca = b.ca.certificate_pem,
                                  .certificate = b.user.certificate_pem,
                                  .key = b.ca.key_pem };
    struct transfer_tls none = { .ca = b.ca.certificate_pem };

    assert_works(&b, &tls);
    assert_string_equal(b.client, "somebody");
    assert_fails(&b, &mixed, "TLS failed: ");
    SSL_CTX_set_verify(b.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    assert_fails(&b, &none, "alert");
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusts_the_given_authority_and_no_other),
        cmocka_unit_test(says_that_a_certificate_is_out_of_date),
        cmocka_unit_test(verifies_the_name_it_was_told),
        cmocka_unit_test(shows_its_certificate),
    };
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that are closed already */
    return cmocka_run_group_tests_name("net/transfer_tls", tests, NULL, NULL);
}
