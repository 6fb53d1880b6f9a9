/* net/tls_roots.h - the system's certificate authorities; private to net/ */
#pragma once

#include <openssl/x509.h>

/* Those that Go, and so kubectl, would trust: of $SSL_CERT_FILE, else of the first bundle
 * that exists where distributions put it; and all of the folders in $SSL_CERT_DIR, else
 * those that are found by hash in the usual folders. */
void tls_roots_add(X509_STORE *into);

/* The same as a store that is shared by all callers, a reference of the caller's.  It is
 * read once, as Go does, and again only when one of the variables has changed: some 140
 * certificates take 50 ms and 1.7 MB. */
X509_STORE *tls_roots(void);
