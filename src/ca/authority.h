/* ca/authority.h - a certificate authority of this user, for the names of one cluster domain
 *
 * Its certificate can sign names of services, pods and Deployments in that domain (svc.DOMAIN,
 * pod.DOMAIN, deploy.DOMAIN) and those that end in localhost, svc and k8s, and nothing else: its name constraints are critical, permit no IP address, e-mail address or
 * URI, and it can sign no other authority.  Keys are EC P-256.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct authority;
struct tls_context;

/* Of a certificate of a server. */
#define LEAF_DAYS 7
/* An authority that ends sooner than this is replaced. */
#define AUTHORITY_LEFT_DAYS 30

/* Made now, with one owner.  ERR_CONFIG: the domain has bytes that no domain has, or one
 * label only.  ERR_TLS:
 * OpenSSL failed. */
MUST_CHECK enum err authority_make(const char *domain, struct authority **ret,
                                   struct diag *why);
/* Out of the text of authority_text.  ERR_TLS: *why names what is wrong, and begins with
 * `source`: a damaged text, a key of another certificate, or a certificate that is not
 * constrained to this domain. */
MUST_CHECK enum err authority_read(const char *text, const char *domain,
                                   const char *source, struct authority **ret,
                                   struct diag *why);
void authority_destroy(struct authority *a); /* NULL accepted */
static inline void authority_destroyp(struct authority **a)
{
    authority_destroy(*a);
}

/* Certificate and key as PEM text: a secret, to be wiped by its owner, the caller. */
char *authority_text(const struct authority *a);
/* The certificate as PEM text; valid as long as the authority. */
const char *authority_certificate(const struct authority *a);
/* The first eight bytes of the certificate's SHA-256 in hexadecimal; valid likewise. */
const char *authority_fingerprint(const struct authority *a);
long long authority_expiry(const struct authority *a); /* seconds since 1970 */

/* Is it a host that a certificate is made for: at least three labels, in a permitted domain? */
bool authority_covers(const struct authority *a, struct str host);

/* A context for servers with a new certificate for this host, which authority_covers, and a
 * new key; for clients of HTTP/2 and HTTP/1.1.  NULL: OpenSSL failed. */
struct tls_context *authority_issue(const struct authority *a, struct str host);
