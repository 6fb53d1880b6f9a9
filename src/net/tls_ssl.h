/* net/tls_ssl.h - the OpenSSL side of net/tls.h, for net/ and for servers in TLS */
#pragma once

#include <openssl/ssl.h>

struct chunk_pool;
struct sched;
struct stream;
struct tls_identity;
struct tls_report;

struct tls_context {
    unsigned refs;
    struct tls_identity *identity; /* of a client that has one; or NULL */
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    SSL_SESSION *session; /* client: the newest session ticket of the server */
    void *owned;          /* destroyed with it; or NULL */
    void (*destroy_owned)(void *owned);
};

/* A context with only the common settings (versions, modes), and one reference. */
struct tls_context *tls_context_new(const SSL_METHOD *method);
/* For a server without renegotiation; alpn: the protocols that it speaks, preferred ones
 * first, each after its length ("\x02h2\x08http/1.1", not copied); NULL: ALPN is ignored.
 * NULL: OpenSSL does not accept the certificate or its key. */
struct tls_context *tls_context_of_server(X509 *certificate, EVP_PKEY *key,
                                          const char *alpn);

/* A stream over `below` (taken over); the caller sets whether its SSL acts as client or
 * server. */
struct stream *tls_open(struct sched *sched, struct chunk_pool *pool,
                        struct tls_context *c, struct stream *below);
/* Keep the newest session ticket for the next connection of a client. */
void tls_keep_sessions(struct tls_context *c);
/* The same as a client, which resumes the context's session.  The caller sets SNI and what is
 * verified; server_name is for errors. */
struct stream *tls_client_begin(struct sched *sched, struct chunk_pool *pool,
                                struct tls_context *c, struct stream *below,
                                const char *server_name);
/* A client's, until its handshake has succeeded; for callbacks. */
struct tls_report *tls_ssl_report(const SSL *ssl);
/* NULL: not a stream of net/tls.h. */
SSL *tls_ssl(const struct stream *s);
