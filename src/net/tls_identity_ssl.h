/* net/tls_identity_ssl.h - an identity as OpenSSL wants it; private to net/ */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/err.h"

struct tls_identity;

/* Trust, certificate, key and verification for a client's context.  False: OpenSSL does not
 * take the certificate, which tls_identity_create has tried. */
MUST_CHECK bool tls_identity_apply(const struct tls_identity *i, SSL_CTX *context);

/* A proxy's context: trust those authorities and the system's, show nothing. */
void tls_identity_apply_to_proxy(const struct tls_identity *i, SSL_CTX *context);

/* The name to verify, for all connections of a context, or for one.  Where it fails OpenSSL
 * would accept a certificate for any name. */
MUST_CHECK bool tls_verify_name(X509_VERIFY_PARAM *param, const char *name);

/* Where a failed verification is explained, as the words that follow "its certificate":
 * of this context's connections, or of this one.  For as long as the handshake takes. */
void tls_explain_in_context(SSL_CTX *context, struct diag *why);
void tls_explain_in(SSL *ssl, struct diag *why);

/* Is this text of OpenSSL's, or of curl's about it, an alert of the peer, or what comes of a
 * peer that does not use TLS? */
bool tls_is_reason(const char *text);
/* What that means; identity NULL: nothing was shown.  False, and *why unchanged: `text` is
 * the best there is. */
bool tls_explain_alert(const struct tls_identity *i, const char *text, struct diag *why);

/* A text that no other identity of this process has. */
const char *tls_identity_key(const struct tls_identity *i);
bool tls_identity_insecure(const struct tls_identity *i);
