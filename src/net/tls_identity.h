/* net/tls_identity.h - which servers connections trust, and which certificate they
 * present
 *
 * Certificate authorities, client certificate, key and the name to verify, read once from
 * PEM text and checked: immutable and reference-counted.  REST calls (net/transfer.h) and
 * tunnels (net/tls.h) use the same identity, so both trust the same servers.  A changed
 * certificate is a new identity; connections made with the old one stay as they are, and
 * are never used for requests with the new one.
 *
 * Servers are verified as Go does: a given certificate is trusted anywhere in the chain,
 * also as the server's own; names are those of subjectAltName; without a given authority
 * the system's are trusted, $SSL_CERT_FILE and $SSL_CERT_DIR included.
 */
#pragma once

#include <stdbool.h>

#include "base/texts.h"
#include "net/pem_text.h"

struct tls_identity;

struct tls_identity_settings {
    struct tls_pem ca;
    struct tls_pem certificate; /* chain, leaf first; needs a key */
    struct tls_pem key;         /* ignored without a certificate */
    bool insecure;              /* do not verify the server */
    const char
        *server_name; /* verified, and sent as SNI, instead of the host's; or NULL */
};

/* ERR_TLS with "name: what is wrong": no PEM, damaged, encrypted, a key that does not
 * belong to its certificate, a certificate where a key should be ...  *warnings (may be
 * NULL) gets a line per damaged block of the authorities, which is skipped. */
MUST_CHECK enum err tls_identity_create(const struct tls_identity_settings *settings,
                                        struct tls_identity **ret, struct texts *warnings,
                                        struct diag *why);
struct tls_identity *tls_identity_ref(struct tls_identity *i); /* NULL stays NULL */
void tls_identity_unref(struct tls_identity *i);               /* NULL accepted */
static inline void tls_identity_unrefp(struct tls_identity **i)
{
    tls_identity_unref(*i);
}

/* The name that must be in the certificate of `host`: server_name or the host, without a
 * final dot.  Owned by the caller. */
char *tls_identity_name(const struct tls_identity *i, const char *host);

/* When the client certificate expires, in seconds since 1970; 0: there is none. */
long long tls_identity_expiry(const struct tls_identity *i);
