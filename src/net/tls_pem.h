/* net/tls_pem.h - certificates and keys out of PEM text; private to net/
 *
 * Read block by block, as Go does: text around the blocks and blocks of other kinds are
 * skipped.  There is no prompt for a password.
 */
#pragma once

#include <openssl/ssl.h>

#include "base/texts.h"
#include "net/pem_text.h"

/* At least one, added to the store; others that cannot be read are warnings. */
MUST_CHECK enum err pem_read_authorities(const struct tls_pem *pem, X509_STORE *into,
                                         struct texts *warnings, struct diag *why);
/* The first is the leaf; *ret is the caller's. */
MUST_CHECK enum err pem_read_chain(const struct tls_pem *pem, STACK_OF(X509) * *ret,
                                   struct diag *why);
/* The key, which must be that of the leaf. */
MUST_CHECK enum err pem_read_key(const struct tls_pem *pem, X509 *leaf, EVP_PKEY **ret,
                                 struct diag *why);
/* The text of OpenSSL's last error, or `otherwise`; empties its error queue. */
const char *tls_reason(const char *otherwise);
