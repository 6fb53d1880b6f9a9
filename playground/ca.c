#include "playground/ca.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/own.h"
#include "net/tls_make_ssl.h"

#define CA_DAYS 3650

struct local_ca {
    EVP_PKEY *key;
    X509 *certificate;
    char *pem;
};

static void free_x509(X509 **x)
{
    X509_free(*x);
}

static void ca_free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static enum err failed(struct diag *why, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum err e = diag_set(why, ERR_TLS, "%s: %s", what, reason ? reason : "failed");
    ERR_clear_error();
    return e;
}

static char *bio_text(BIO *bio)
{
    char *at = NULL;
    long n = BIO_get_mem_data(bio, &at);
    return xstrndup(at, (size_t)n);
}

static char *key_pem(EVP_PKEY *key)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    return ok ? bio_text(bio) : NULL;
}

static bool add_name(X509_NAME *name, const char *field, const char *value)
{
    return !value ||
           X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      (const unsigned char *)value, -1, -1, 0) == 1;
}

static GENERAL_NAME *general_name(const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_IA5STRING *dns = address ? NULL : ASN1_IA5STRING_new();

    if (address) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    } else {
        ASN1_STRING_set(dns, text, -1);
        GENERAL_NAME_set0_value(name, GEN_DNS, dns);
    }
    ERR_clear_error();
    return name;
}

static bool add_names(X509 *x, const char *const *names)
{
    if (!names || !names[0])
        return true;
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    for (size_t i = 0; list && names[i]; i++)
        sk_GENERAL_NAME_push(list, general_name(names[i]));
    bool ok = list && X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, 0) == 1;
    GENERAL_NAMES_free(list);
    return ok;
}

static bool sign_own(struct local_ca *ca, const char *common_name)
{
    X509 *x = ca->certificate;
    X509_NAME *subject = X509_get_subject_name(x);
    return add_name(subject, "CN", common_name) &&
           X509_set_issuer_name(x, subject) == 1 &&
           tls_make_extension(x, x, NID_basic_constraints,
                              "critical,CA:TRUE,pathlen:0") &&
           tls_make_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           tls_make_extension(x, x, NID_subject_key_identifier, "hash") &&
           X509_sign(x, ca->key, EVP_sha256()) > 0;
}

static void destroy(struct local_ca **ca)
{
    local_ca_destroy(*ca);
}

enum err local_ca_create(const char *common_name, struct local_ca **ret, struct diag *why)
{
    AUTO(destroy) struct local_ca *ca = xcalloc(1, sizeof(*ca));

    ca->key = EVP_EC_gen("P-256");
    if (ca->key)
        ca->certificate = tls_make_certificate(ca->key, CA_DAYS);
    if (!ca->certificate || !sign_own(ca, common_name))
        return failed(why, "certificate authority");
    ca->pem = tls_make_pem(ca->certificate);
    if (!ca->pem)
        return failed(why, "certificate authority");
    *ret = TAKE(ca);
    return OK;
}

void local_ca_destroy(struct local_ca *ca)
{
    if (!ca)
        return;
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    free(ca->pem);
    free(ca);
}

const char *local_ca_certificate(const struct local_ca *ca)
{
    return ca->pem;
}

static bool describe(const struct local_ca *ca, X509 *x,
                     const struct certificate_request *request)
{
    X509_NAME *subject = X509_get_subject_name(x);
    X509 *issuer = ca->certificate;
    return add_name(subject, "O", request->organization) &&
           add_name(subject, "CN", request->common_name) &&
           X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
           tls_make_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           tls_make_extension(x, issuer, NID_key_usage, "critical,digitalSignature") &&
           tls_make_extension(x, issuer, NID_ext_key_usage,
                              request->server ? "serverAuth" : "clientAuth") &&
           tls_make_extension(x, issuer, NID_authority_key_identifier, "keyid") &&
           add_names(x, request->names);
}

enum err local_ca_issue(const struct local_ca *ca,
                        const struct certificate_request *request, struct identity *ret,
                        struct diag *why)
{
    AUTO(ca_free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(free_x509) X509 *x = key ? tls_make_certificate(key, (long)request->days) : NULL;

    if (!x || !describe(ca, x, request) || X509_sign(x, ca->key, EVP_sha256()) <= 0)
        return failed(why, "certificate");
    struct identity made = { tls_make_pem(x), key_pem(key) };
    if (!made.certificate || !made.key) {
        identity_finish(&made);
        return failed(why, "certificate");
    }
    *ret = made;
    return OK;
}

void identity_finish(struct identity *i)
{
    free(i->certificate);
    free(i->key);
    *i = (struct identity){ 0 };
}
