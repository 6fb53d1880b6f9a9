/* net/tls_make.c - what the certificates that are made here have in common */
#include "net/tls_make_ssl.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/own.h"

#define CLOCK_SKEW_SECONDS 3600 /* a peer's clock may be behind */
#define DAY_SECONDS 86400L

static void free_made(X509 **x)
{
    X509_free(*x);
}

static void free_text_bio(BIO **bio)
{
    BIO_free(*bio);
}

static bool set_serial(X509 *x)
{
    unsigned char bytes[16];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of constant length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    return ok;
}

static bool set_validity(X509 *x, long days)
{
    return X509_gmtime_adj(X509_getm_notBefore(x), -CLOCK_SKEW_SECONDS) &&
           X509_gmtime_adj(X509_getm_notAfter(x), days * DAY_SECONDS);
}

X509 *tls_make_certificate(EVP_PKEY *key, long days)
{
    AUTO(free_made) X509 *x = X509_new();
    bool ok = x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
              set_validity(x, days) && X509_set_pubkey(x, key) == 1;

    return ok ? TAKE(x) : NULL;
}

bool tls_make_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

char *tls_make_pem(X509 *x)
{
    AUTO(free_text_bio) BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;

    if (!bio || PEM_write_bio_X509(bio, x) != 1)
        return NULL;
    long n = BIO_get_mem_data(bio, &at);
    return xstrndup(at, (size_t)n);
}
