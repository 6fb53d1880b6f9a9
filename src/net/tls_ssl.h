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
    SSL_SESSION *session; /* client: the newest ticket of the one server this is for */
};

/* Without settings but the versions and modes that all have in common; one reference. */
struct tls_context *tls_context_new(const SSL_METHOD *method);

/* A stream over `below` (taken over); the caller sets whether its SSL connects or accepts. */
struct stream *tls_open(struct loop *l, struct tls_context *c, struct stream *below);
/* NULL: not a stream of net/tls.h. */
SSL *tls_ssl(const struct stream *s);
