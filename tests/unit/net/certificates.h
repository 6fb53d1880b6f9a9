/* tests/unit/net/certificates.h - certificates made for a test */
#pragma once

#include <openssl/ssl.h>

#define DAY 86400L

struct issued {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem, *key_pem;
};

/* Valid from `from` to `until` seconds from now; names NULL: a certificate authority;
 * issuer NULL: signed by itself. */
struct issued issue(const char *name, const char *names, const struct issued *issuer,
                    long from, long until);
/* The same with a key made before, which the result owns. */
struct issued issue_for(EVP_PKEY *key, const char *name, const char *names,
                        const struct issued *issuer, long from, long until);
void issued_finish(struct issued *i);
