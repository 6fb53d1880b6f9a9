/* net/tls_certificate.h - facts of certificates as text for people; private to net/ */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls_report.h"

#define TLS_SHA256_SIZE 32

/* "2026-01-31 12:00:00 UTC"; returns `out`. */
const char *certificate_date(const ASN1_TIME *time, char *out, size_t room);
/* The names in a certificate, as many as fit; "" without a subjectAltName. */
void certificate_names(const X509 *x, char *out, size_t room);
void certificate_digest(const X509 *x, uint8_t out[static TLS_SHA256_SIZE]);
void certificate_describe(const X509 *x, struct tls_certificate *ret);
