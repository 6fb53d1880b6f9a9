/* net/tls_make_ssl.h - what the certificates that are made here have in common
 *
 * Used by ca/, and by the playground, which is a server. Each function reports a failure of
 * OpenSSL by NULL or false, and leaves its error queue as it is.
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

/* Of version 3, with this key and a random serial number of 16 bytes, valid from an hour ago on,
 * since a peer's clock may be behind.  It has no names and no signature yet. */
X509 *tls_make_certificate(EVP_PKEY *key, long days);
/* Adds an extension in the words of openssl.cnf. */
bool tls_make_extension(X509 *x, X509 *issuer, int nid, const char *value);
char *tls_make_pem(X509 *x); /* owned by the caller */
