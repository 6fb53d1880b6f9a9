/* ca/authority.c - make, read and use a certificate authority */
#include "ca/authority.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/own.h"
#include "net/tls_make_ssl.h"
#include "net/tls_pem.h"
#include "net/tls_ssl.h"

#define AUTHORITY_DAYS (5 * 365)
#define LABELS_MIN 3
#define FINGERPRINT_BYTES 8

/* For which no TLS client looks up addresses (RFC 6761): a permitted tree of such a name
 * excludes every other e-mail address and URI, in each implementation.  An empty excluded
 * tree does so in some. */
#define OF_EACH_DOMAIN                                                                   \
    "permitted;DNS:localhost,permitted;DNS:svc,permitted;DNS:k8s,"                       \
    "permitted;email:invalid,permitted;URI:invalid,"                                     \
    "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"
#define CONSTRAINTS                                                                      \
    "critical,permitted;DNS:svc.%s,permitted;DNS:pod.%s,permitted;DNS:deploy.%"          \
    "s," OF_EACH_DOMAIN
/* Of authorities that were made before the kinds of names in the domain were listed. */
#define EARLIER_CONSTRAINTS "critical,permitted;DNS:%s," OF_EACH_DOMAIN

static const char *const permitted[] = { "localhost", "svc", "k8s" };
static const char *const kinds[] = { "svc", "pod", "deploy" }; /* in the domain */

struct authority {
    char *domain;
    X509 *certificate;
    EVP_PKEY *key;
    char *pem;
    char fingerprint[2 * FINGERPRINT_BYTES + 1];
};

static void free_x509(X509 **x)
{
    X509_free(*x);
}

static void free_pkey(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_extension(X509_EXTENSION **e)
{
    X509_EXTENSION_free(*e);
}

static void free_chain(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}

static enum err ca_failed(struct diag *why, const char *what)
{
    return diag_set(why, ERR_TLS, "%s: %s", what, tls_reason("OpenSSL failed"));
}

/* ---- certificates ---- */

/* As SAN alone: a name of more than 64 bytes does not fit in a subject.  The text is not
 * parsed, so that no byte of it can begin another name. */
static bool add_host(X509 *x, struct str host)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    if (!names || !name || !text || !sk_GENERAL_NAME_push(names, name))
        abort(); /* out of memory */
    ASN1_STRING_set(text, host.at, (int)host.len);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    bool ok = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 1, 0) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

/* ---- authorities ---- */

static bool is_domain(const char *domain)
{
    size_t len = strlen(domain);

    return len > 0 && len < 254 && domain[0] != '.' &&
           strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

static bool has_two_labels(const char *domain)
{
    const char *dot = strchr(domain, '.');

    return dot && dot[1];
}

static char *constraints_of(const char *domain)
{
    return xasprintf(CONSTRAINTS, domain, domain, domain);
}

/* The number in it distinguishes authorities in a list of certificates. */
static bool set_subject(X509 *x)
{
    X509_NAME *subject = X509_get_subject_name(x);
    const unsigned char *serial =
        ASN1_STRING_get0_data(X509_get0_serialNumber(x)); /* 16 bytes */
    char name[64];

    snprintf(name, sizeof(name), "kube-tunnel local CA %02x%02x%02x%02x", serial[0],
             serial[1], serial[2], serial[3]);
    return X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                      (const unsigned char *)"kube-tunnel", -1, -1,
                                      0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                      (const unsigned char *)name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, subject) == 1;
}

static X509 *self_signed(EVP_PKEY *key, const char *domain)
{
    AUTO_FREE char *constraints = constraints_of(domain);
    AUTO(free_x509) X509 *x = tls_make_certificate(key, AUTHORITY_DAYS);
    bool ok =
        x && set_subject(x) &&
        tls_make_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        tls_make_extension(x, x, NID_key_usage, "critical,keyCertSign") &&
        tls_make_extension(x, x, NID_ext_key_usage, "serverAuth") &&
        tls_make_extension(x, x, NID_subject_key_identifier, "hash") &&
        tls_make_extension(x, x, NID_name_constraints, constraints) &&
        X509_sign(x, key, EVP_sha256()) > 0;

    return ok ? TAKE(x) : NULL;
}

static bool set_fingerprint(struct authority *a)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    if (X509_digest(a->certificate, EVP_sha256(), digest, &len) != 1)
        return false;
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        snprintf(a->fingerprint + 2 * i, 3, "%02x", digest[i]);
    return true;
}

/* Takes both over. */
static enum err authority_of(const char *domain, X509 *certificate, EVP_PKEY *key,
                             struct authority **ret, struct diag *why)
{
    AUTO(authority_destroyp) struct authority *a = xcalloc(1, sizeof(*a));

    a->domain = xstrdup(domain);
    a->certificate = certificate;
    a->key = key;
    a->pem = tls_make_pem(certificate);
    if (!a->pem || !set_fingerprint(a))
        return ca_failed(why, "certificate authority");
    *ret = TAKE(a);
    return OK;
}

enum err authority_make(const char *domain, struct authority **ret, struct diag *why)
{
    if (!is_domain(domain))
        return diag_set(why, ERR_CONFIG, "\"%s\" is no domain for a local CA", domain);
    if (!has_two_labels(domain)) /* a CA for "com" could sign for any site there */
        return diag_set(why, ERR_CONFIG,
                        "\"%s\" is no domain for a local CA: it has only one label, and "
                        "could be a public top-level domain",
                        domain);
    AUTO(free_pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key ? self_signed(key, domain) : NULL;
    if (!x)
        return ca_failed(why, "certificate authority");
    return authority_of(domain, x, TAKE(key), ret, why);
}

/* Byte by byte. */
static bool has_constraints(X509 *x, const char *text)
{
    AUTO(free_extension)
    X509_EXTENSION *expected =
        X509V3_EXT_conf_nid(NULL, NULL, NID_name_constraints, text);
    int at = X509_get_ext_by_NID(x, NID_name_constraints, -1);
    const X509_EXTENSION *found = at < 0 ? NULL : X509_get_ext(x, at);

    return expected && found && X509_EXTENSION_get_critical(found) == 1 &&
           ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data((X509_EXTENSION *)found),
                                 X509_EXTENSION_get_data(expected)) == 0;
}

/* By what authority_make writes for this domain, or has written. */
static bool is_constrained_to(X509 *x, const char *domain)
{
    AUTO_FREE char *text = constraints_of(domain);
    AUTO_FREE char *earlier = xasprintf(EARLIER_CONSTRAINTS, domain);

    return (has_constraints(x, text) || has_constraints(x, earlier)) &&
           X509_check_ca(x) == 1 && X509_get_pathlen(x) == 0;
}

enum err authority_read(const char *text, const char *domain, const char *source,
                        struct authority **ret, struct diag *why)
{
    struct tls_pem pem = { text, source };
    AUTO(free_chain) STACK_OF(X509) *chain = NULL;
    AUTO(free_pkey) EVP_PKEY *key = NULL;

    enum err e = pem_read_chain(&pem, &chain, why);
    X509 *x = e ? NULL : sk_X509_value(chain, 0);
    if (!e)
        e = pem_read_key(&pem, x, &key, why);
    if (!e && (!is_domain(domain) || !is_constrained_to(x, domain)))
        e = diag_set(why, ERR_TLS,
                     "%s: not a local CA that is constrained to \"%s\"; remove it with "
                     "kube-tunnel ca remove",
                     source, domain);
    if (e)
        return e;
    X509_up_ref(x);
    return authority_of(domain, x, TAKE(key), ret, why);
}

void authority_destroy(struct authority *a)
{
    if (!a)
        return;
    X509_free(a->certificate);
    EVP_PKEY_free(a->key);
    free(a->pem);
    free(a->domain);
    free(a);
}

char *authority_text(const struct authority *a)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;

    if (!bio || PEM_write_bio_X509(bio, a->certificate) != 1 ||
        PEM_write_bio_PrivateKey(bio, a->key, NULL, NULL, 0, NULL, NULL) != 1)
        abort(); /* out of memory */
    long n = BIO_get_mem_data(bio, &at);
    char *text = xstrndup(at, (size_t)n);
    explicit_bzero(at, (size_t)n);
    return text;
}

const char *authority_certificate(const struct authority *a)
{
    return a->pem;
}

const char *authority_fingerprint(const struct authority *a)
{
    return a->fingerprint;
}

long long authority_expiry(const struct authority *a)
{
    struct tm end = { 0 };

    if (ASN1_TIME_to_tm(X509_get0_notAfter(a->certificate), &end) != 1)
        return 0;
    return timegm(&end);
}

/* ---- leaves ---- */

static bool is_below(struct str host, struct str domain)
{
    return host.len > domain.len + 1 && host.at[host.len - domain.len - 1] == '.' &&
           str_ieq(str_skip(host, host.len - domain.len), domain);
}

static size_t count_labels(struct str host)
{
    size_t labels = 1;

    for (size_t i = 0; i < host.len; i++)
        labels += host.at[i] == '.';
    return labels;
}

bool authority_covers(const struct authority *a, struct str host)
{
    if (count_labels(host) < LABELS_MIN)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(permitted); i++)
        if (is_below(host, str_of(permitted[i])))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        AUTO_FREE char *tree = xasprintf("%s.%s", kinds[i], a->domain);
        if (is_below(host, str_of(tree)))
            return true;
    }
    return false;
}

static X509 *sign_leaf(const struct authority *a, EVP_PKEY *key, struct str host)
{
    X509 *issuer = a->certificate;
    AUTO(free_x509) X509 *x = tls_make_certificate(key, LEAF_DAYS);
    bool ok = x && X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
              tls_make_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
              tls_make_extension(x, issuer, NID_key_usage, "critical,digitalSignature") &&
              tls_make_extension(x, issuer, NID_ext_key_usage, "serverAuth") &&
              tls_make_extension(x, issuer, NID_authority_key_identifier, "keyid") &&
              add_host(x, host) && X509_sign(x, a->key, EVP_sha256()) > 0;

    return ok ? TAKE(x) : NULL;
}

struct tls_context *authority_issue(const struct authority *a, struct str host)
{
    AUTO(free_pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(free_x509) X509 *x = key ? sign_leaf(a, key, host) : NULL;
    struct tls_context *c =
        x ? tls_context_of_server(x, key, "\x02h2\x08http/1.1") : NULL;

    ERR_clear_error();
    return c;
}
