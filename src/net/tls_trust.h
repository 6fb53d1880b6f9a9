/* net/tls_trust.h - a set of certificate authorities
 *
 * Reference-counted.  Nothing is added after its first use.  A given certificate is trusted
 * anywhere in a chain, also as the server's own, as Go does.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "net/pem_text.h"

struct tls_trust;

/* system: the system's authorities are trusted, too.  They are read at the first use, since
 * that takes 50 ms. */
struct tls_trust *tls_trust_create(bool system);
/* ERR_TLS with "name: what is wrong".  A damaged block beside intact ones is skipped. */
MUST_CHECK enum err tls_trust_add(struct tls_trust *t, const struct tls_pem *pem,
                                  struct diag *why);
struct tls_trust *tls_trust_ref(struct tls_trust *t); /* NULL stays NULL */
void tls_trust_unref(struct tls_trust *t);            /* NULL accepted */
static inline void tls_trust_unrefp(struct tls_trust **t)
{
    tls_trust_unref(*t);
}
