/* net/tls_identity.c - which servers connections trust, and which certificate they
 * present */
#include "net/tls_identity.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/address.h"
#include "base/own.h"
#include "net/tls_certificate.h"
#include "net/tls_identity_ssl.h"
#include "net/tls_pem.h"
#include "net/tls_roots.h"

struct tls_identity {
    unsigned refs;
    X509_STORE *trusted, *trusted_for_proxies;
    STACK_OF(X509) * chain; /* leaf first; NULL: no certificate */
    EVP_PKEY *key;
    char *server_name; /* or NULL */
    bool insecure;
    char unique[32];
};

static X509_STORE *new_store(void)
{
    X509_STORE *store = X509_STORE_new();

    if (!store)
        abort(); /* out of memory */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return store;
}

static enum err read_trust(struct tls_identity *i, const struct tls_pem *ca,
                           struct texts *warnings, struct diag *why)
{
    i->trusted = ca->text || i->insecure ? new_store() : tls_roots();
    return ca->text ? pem_read_authorities(ca, i->trusted, warnings, why) : OK;
}

static enum err read_certificate(struct tls_identity *i,
                                 const struct tls_identity_settings *s, struct diag *why)
{
    if (!s->certificate.text)
        return OK;
    enum err e = pem_read_chain(&s->certificate, &i->chain, why);
    if (e)
        return e;
    if (!s->key.text)
        return diag_set(why, ERR_TLS, "%s: there is no key for it", s->certificate.name);
    return pem_read_key(&s->key, sk_X509_value(i->chain, 0), &i->key, why);
}

/* Applies the identity to a context, because OpenSSL refuses a certificate that is too
 * weak only then. */
static enum err try_certificate(const struct tls_identity *i,
                                const struct tls_identity_settings *s, struct diag *why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context)
        abort(); /* out of memory */
    bool ok = tls_identity_apply(i, context);
    SSL_CTX_free(context);
    return ok ? OK
              : diag_set(why, ERR_TLS, "%s: cannot be used (%s)", s->certificate.name,
                         tls_reason("no reason given"));
}

enum err tls_identity_create(const struct tls_identity_settings *s,
                             struct tls_identity **ret, struct texts *warnings,
                             struct diag *why)
{
    static unsigned long long last;
    AUTO(tls_identity_unrefp) struct tls_identity *i = xcalloc(1, sizeof(*i));

    i->refs = 1;
    i->insecure = s->insecure;
    i->server_name = xstrdup_or_null(s->server_name);
    snprintf(i->unique, sizeof(i->unique), "identity-%llu", ++last);
    enum err e = read_trust(i, &s->ca, warnings, why);
    if (!e)
        e = read_certificate(i, s, why);
    if (!e && i->chain)
        e = try_certificate(i, s, why);
    if (!e)
        *ret = TAKE(i);
    return e;
}

struct tls_identity *tls_identity_ref(struct tls_identity *i)
{
    if (i)
        i->refs++;
    return i;
}

void tls_identity_unref(struct tls_identity *i)
{
    if (!i || --i->refs)
        return;
    X509_STORE_free(i->trusted);
    X509_STORE_free(i->trusted_for_proxies);
    sk_X509_pop_free(i->chain, X509_free);
    EVP_PKEY_free(i->key);
    free(i->server_name);
    free(i);
}

char *tls_identity_name(const struct tls_identity *i, const char *host)
{
    const char *name = i->server_name ? i->server_name : host;
    size_t len = strlen(name);

    return xstrndup(name, len && name[len - 1] == '.' ? len - 1 : len);
}

long long tls_identity_expiry(const struct tls_identity *i)
{
    struct tm until;

    if (!i->chain ||
        !ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(i->chain, 0)), &until))
        return 0;
    return (long long)timegm(&until);
}

const char *tls_identity_key(const struct tls_identity *i)
{
    return i->unique;
}

bool tls_identity_insecure(const struct tls_identity *i)
{
    return i->insecure;
}

bool tls_identity_has_certificate(const struct tls_identity *i)
{
    return i->chain != NULL;
}

/* OpenSSL would take an empty name as the request to verify no name. */
bool tls_verify_name(X509_VERIFY_PARAM *param, const char *name)
{
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (host_is_address(str_of(name)))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return name[0] && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* The index of the diag in a context, or in an SSL, that gets why a certificate was
 * refused. */

static int explain_index(bool of_context)
{
    static int context_index = -1, ssl_index = -1;

    if (context_index < 0) {
        context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
        ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    }
    assert(context_index >= 0 && ssl_index >= 0);
    return of_context ? context_index : ssl_index;
}

void tls_explain_in_context(SSL_CTX *context, struct diag *why)
{
    SSL_CTX_set_ex_data(context, explain_index(true), why);
}

void tls_explain_in(SSL *ssl, struct diag *why)
{
    SSL_set_ex_data(ssl, explain_index(false), why);
}

static void explain_name(struct diag *why, X509_STORE_CTX *store)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *address = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param);
    const char *wanted = host ? host : address ? address : "";
    char names[128];

    certificate_names(X509_STORE_CTX_get_current_cert(store), names, sizeof(names));
    diag_set(why, ERR_TLS, "is for another name (%s, not %s)",
             names[0] ? names : "it has no subjectAltName", wanted);
    OPENSSL_free(address);
}

void tls_explain_refusal(X509_STORE_CTX *store, struct diag *why)
{
    const X509 *x = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char date[40];

    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        diag_set(why, ERR_TLS, "has expired (%s)",
                 certificate_date(X509_get0_notAfter(x), date, sizeof(date)));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        diag_set(why, ERR_TLS,
                 "is not valid yet (from %s; is this machine's clock right?)",
                 certificate_date(X509_get0_notBefore(x), date, sizeof(date)));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_name(why, store);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        diag_set(why, ERR_TLS, "is signed by an unknown authority");
        break;
    default:
        diag_set(why, ERR_TLS, "is not accepted: %s",
                 X509_verify_cert_error_string(error));
    }
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct diag *why = SSL_get_ex_data(ssl, explain_index(false));

    if (ok)
        return ok;
    if (!why)
        why = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), explain_index(true));
    if (why)
        tls_explain_refusal(store, why);
    return 0;
}

/* Level 1 is what Go accepts: RSA from 1024 bits, no SHA-1.  Like Go, a server is
 * verified once per connection: the diag of tls_explain_in_context no longer exists when
 * a connection is reused. */
#define SECURITY_LEVEL 1

void tls_restrict(SSL_CTX *context)
{
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
}

static void trust(SSL_CTX *context, X509_STORE *trusted, bool insecure)
{
    tls_restrict(context);
    SSL_CTX_set1_cert_store(context, trusted);
    SSL_CTX_set_verify(context, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verify);
}

bool tls_identity_apply(const struct tls_identity *i, SSL_CTX *context)
{
    bool ok;

    trust(context, i->trusted, i->insecure);
    if (!i->chain)
        return true;
    ok = SSL_CTX_use_certificate(context, sk_X509_value(i->chain, 0)) == 1;
    for (int n = 1; ok && n < sk_X509_num(i->chain); n++)
        ok = SSL_CTX_add1_chain_cert(context, sk_X509_value(i->chain, n)) == 1;
    return ok && SSL_CTX_use_PrivateKey(context, i->key) == 1;
}

static void add_all(X509_STORE *into, X509_STORE *from)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(from);

    for (int n = 0; n < sk_X509_OBJECT_num(objects); n++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, n));
        if (x)
            X509_STORE_add_cert(into, x);
    }
}

void tls_identity_apply_to_proxy(const struct tls_identity *i, SSL_CTX *context)
{
    struct tls_identity *own = (struct tls_identity *)(uintptr_t)i;

    /* made at the first use: few identities are used with a TLS proxy */
    if (!own->trusted_for_proxies) {
        own->trusted_for_proxies = new_store();
        add_all(own->trusted_for_proxies, i->trusted);
        tls_roots_add(own->trusted_for_proxies);
    }
    trust(context, i->trusted_for_proxies, i->insecure);
}

static bool speaks_no_tls(const char *text)
{
    return strstr(text, "wrong version number") || strstr(text, "http request");
}

bool tls_is_reason(const char *text)
{
    return strstr(text, " alert ") || speaks_no_tls(text);
}

/* The alerts that are about a client's certificate. */
static const char *certificate_alert(const char *text)
{
    static const char *const alerts[] = {
        "unknown ca",          "bad certificate",     "certificate expired",
        "certificate revoked", "certificate unknown", "unsupported certificate",
        "access denied",       "certificate required"
    };
    const char *alert = strstr(text, " alert ");

    for (size_t i = 0; alert && i < ARRAY_LEN(alerts); i++)
        if (strncmp(alert + strlen(" alert "), alerts[i], strlen(alerts[i])) == 0)
            return alerts[i];
    return NULL;
}

bool tls_explain_alert(const struct tls_identity *i, const char *text, struct diag *why)
{
    const char *alert = certificate_alert(text);

    if (speaks_no_tls(text))
        diag_set(why, ERR_TLS,
                 "it does not speak TLS but perhaps plain HTTP (http:// instead of "
                 "https://)");
    else if (strstr(text, "alert no application protocol") && !i)
        diag_set(why, ERR_TLS, "it speaks none of the offered protocols (ALPN)");
    else if (strstr(text, "alert no application protocol"))
        diag_set(why, ERR_TLS,
                 "it does not speak HTTP/1.1, which tunnels need: HTTP/2 has no Upgrade");
    else if (alert && i && i->chain)
        diag_set(why, ERR_TLS, "it did not accept your client certificate (%s)", alert);
    else if (alert)
        diag_set(why, ERR_TLS,
                 "it requires a client certificate, and none is configured "
                 "(%s)",
                 alert);
    else
        return false;
    return true;
}
