/* tests/unit/net/certificates.c - certificates made for a test */
#include "certificates.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/own.h"

static char *pem_text(BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    char *text = xstrndup(at, (size_t)len);
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX about;
    X509V3_set_ctx(&about, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &about, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static const unsigned char *bytes_of(const char *text)
{
    return (const unsigned char *)text;
}

struct issued issue(const char *name, const char *names, const struct issued *issuer,
                    long from, long until)
{
    return issue_for(EVP_EC_gen("P-256"), name, names, issuer, from, until);
}

struct issued issue_for(EVP_PKEY *key, const char *name, const char *names,
                        const struct issued *issuer, long from, long until)
{
    struct issued i = { .certificate = X509_new(), .key = key };
    X509 *x = i.certificate, *by = issuer ? issuer->certificate : x;
    X509_NAME *subject = X509_get_subject_name(x);
    static long serial = 1;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), until);
    X509_set_pubkey(x, i.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, bytes_of(name), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(by));
    if (names)
        add_extension(x, by, NID_subject_alt_name, names);
    else
        add_extension(x, by, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x, issuer ? issuer->key : i.key, EVP_sha256()) > 0);

    BIO *certificate = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(certificate, x);
    PEM_write_bio_PrivateKey(key_text, i.key, NULL, NULL, 0, NULL, NULL);
    i.certificate_pem = pem_text(certificate);
    i.key_pem = pem_text(key_text);
    return i;
}

void issued_finish(struct issued *i)
{
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
    free(i->certificate_pem);
    free(i->key_pem);
}
