/* net/tls_identity_ssl.h - an identity applied to OpenSSL's objects; private to net/ */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/err.h"

struct tls_identity;

/* Trust, certificate, key and verification for a client's context.  False: OpenSSL does
 * not accept the certificate; tls_identity_create has checked that it does. */
MUST_CHECK bool tls_identity_apply(const struct tls_identity *i, SSL_CTX *context);

/* A proxy's context: trust those authorities and the system's, present no certificate. */
void tls_identity_apply_to_proxy(const struct tls_identity *i, SSL_CTX *context);

/* The lowest strength of keys and signatures, and no renegotiation. */
void tls_restrict(SSL_CTX *context);

/* The name to verify, for all connections of a context, or for one.  If it returns false,
 * do not connect: OpenSSL would accept a certificate for any name. */
MUST_CHECK bool tls_verify_name(X509_VERIFY_PARAM *param, const char *name);

/* Sets where a failed verification is explained (as the words that follow "its
 * certificate"), for this context's connections, or for this one.  *why must remain until
 * the handshake is over. */
void tls_explain_in_context(SSL_CTX *context, struct diag *why);
void tls_explain_in(SSL *ssl, struct diag *why);

/* Why a chain was refused, as the words that follow "its certificate". */
void tls_explain_refusal(X509_STORE_CTX *store, struct diag *why);

/* Does this error text of OpenSSL or curl mean an alert from the peer, or a peer that
 * does not use TLS? */
bool tls_is_reason(const char *text);
/* Explains such a text in *why; i NULL: no certificate was presented.  False, and *why
 * unchanged: there is no better text. */
bool tls_explain_alert(const struct tls_identity *i, const char *text, struct diag *why);

/* A text that no other identity of this process has. */
const char *tls_identity_key(const struct tls_identity *i);
bool tls_identity_insecure(const struct tls_identity *i);
/* Is there a client certificate? */
bool tls_identity_has_certificate(const struct tls_identity *i);
