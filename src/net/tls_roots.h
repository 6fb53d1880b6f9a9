/* net/tls_roots.h - the system's certificate authorities; private to net/ */
#pragma once

#include <openssl/x509.h>

/* Those that Go, and so kubectl, would trust: those of $SSL_CERT_FILE, else of the first
 * bundle that exists at the paths of common distributions; and all in the folders of
 * $SSL_CERT_DIR, else those that are found by hash in the usual folders. */
void tls_roots_add(X509_STORE *into);

/* The same as a store that all callers share; the caller gets a reference.  It is read
 * once, as Go does, and again only when one of the variables has changed: some 140
 * certificates take 50 ms and 1.7 MB. */
X509_STORE *tls_roots(void);
