/* net/tls_trust.c - a set of certificate authorities */
#include "net/tls_trust.h"

#include <openssl/x509.h>
#include <stdlib.h>

#include "base/own.h"
#include "net/tls_pem.h"
#include "net/tls_roots.h"
#include "net/tls_trust_ssl.h"

struct tls_trust {
    unsigned refs;
    X509_STORE *store;
    bool lacks_system; /* the system's authorities are still to be read */
};

struct tls_trust *tls_trust_create(bool system)
{
    struct tls_trust *t = xcalloc(1, sizeof(*t));

    t->refs = 1;
    t->lacks_system = system;
    t->store = X509_STORE_new();
    if (!t->store)
        abort(); /* out of memory */
    X509_STORE_set_flags(t->store, X509_V_FLAG_PARTIAL_CHAIN);
    return t;
}

enum err tls_trust_add(struct tls_trust *t, const struct tls_pem *pem, struct diag *why)
{
    return pem_read_authorities(pem, t->store, NULL, why);
}

X509_STORE *tls_trust_store(struct tls_trust *t)
{
    if (t->lacks_system) {
        t->lacks_system = false;
        tls_roots_add(t->store);
    }
    return t->store;
}

struct tls_trust *tls_trust_ref(struct tls_trust *t)
{
    if (t)
        t->refs++;
    return t;
}

void tls_trust_unref(struct tls_trust *t)
{
    if (!t || --t->refs)
        return;
    X509_STORE_free(t->store);
    free(t);
}
