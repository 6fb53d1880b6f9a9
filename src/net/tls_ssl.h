/* net/tls_ssl.h - the OpenSSL side of net/tls.h, for net/ and for servers in TLS */
#pragma once

#include <openssl/ssl.h>

struct loop;
struct stream;
struct tls_identity;

struct tls_context {
    unsigned refs;
    struct tls_identity *identity; /* client; NULL: a server */
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    SSL_SESSION *session; /* client: the newest session ticket of the server */
};

/* A context with only the common settings (versions, modes), and one reference. */
struct tls_context *tls_context_new(const SSL_METHOD *method);

/* A stream over `below` (taken over); the caller sets whether its SSL acts as client or
 * server. */
struct stream *tls_open(struct loop *l, struct tls_context *c, struct stream *below);
/* NULL: not a stream of net/tls.h. */
SSL *tls_ssl(const struct stream *s);
