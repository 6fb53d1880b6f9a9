/* net/tls_trust_ssl.h - a set of authorities for OpenSSL; private to net/ */
#pragma once

#include <openssl/x509.h>

struct tls_trust;

/* Borrowed; reads the system's authorities if they are wanted and were not read yet. */
X509_STORE *tls_trust_store(struct tls_trust *t);
