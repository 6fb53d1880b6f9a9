/* net/tls_service.c - TLS of a client towards a service of the cluster */
#include "net/tls_service.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/address.h"
#include "base/own.h"
#include "net/tls_certificate.h"
#include "net/tls_identity_ssl.h"
#include "net/tls_ssl.h"
#include "net/tls_trust_ssl.h"

struct tls_verifier {
    struct tls_trust *trust; /* a reference: its store is the context's */
    char *server_name;       /* sent as SNI */
    bool unverified, has_pin;
    uint8_t pin[TLS_PIN_SIZE];
};

static void verifier_destroy(void *owned)
{
    struct tls_verifier *v = owned;

    tls_trust_unref(v->trust);
    free(v->server_name);
    free(v);
}

static bool has_pin(const struct tls_verifier *v, const X509 *leaf, struct diag *why)
{
    uint8_t digest[TLS_SHA256_SIZE];

    certificate_digest(leaf, digest);
    if (memcmp(digest, v->pin, sizeof(digest)) == 0)
        return true;
    diag_set(why, ERR_TLS, "is not the pinned one");
    return false;
}

static void explain_chain(X509_STORE_CTX *store, struct diag *why)
{
    if (X509_STORE_CTX_get_error(store) == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
        diag_set(why, ERR_TLS, "is self-signed");
    else
        tls_explain_refusal(store, why);
}

static bool verify(const struct tls_verifier *v, X509_STORE_CTX *store, struct diag *why)
{
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);

    if (v->unverified)
        return true;
    if (v->has_pin)
        return has_pin(v, leaf, why);
    if (X509_verify_cert(store) == 1)
        return true;
    explain_chain(store, why);
    return false;
}

static int on_certificate(X509_STORE_CTX *store, void *verifier)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_report *report = tls_ssl_report(ssl);

    assert(report);
    if (verify(verifier, store, &report->why)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    if (X509_STORE_CTX_get_error(store) == X509_V_OK)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    certificate_describe(X509_STORE_CTX_get0_cert(store), &report->certificate);
    return 0;
}

static void expect_names(SSL_CTX *ssl, const char *const *names)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);

    if (!tls_verify_name(param, names[0]))
        abort(); /* it was checked when the setting was read */
    for (size_t i = 1; names[i]; i++)
        if (X509_VERIFY_PARAM_add1_host(param, names[i], 0) != 1)
            abort();
}

struct tls_context *tls_context_of_service(const struct tls_service_settings *s)
{
    struct tls_context *c = tls_context_new(TLS_client_method());
    struct tls_verifier *v = xcalloc(1, sizeof(*v));

    v->trust = tls_trust_ref(s->trust);
    v->server_name = xstrdup(s->names[0]);
    v->unverified = s->unverified;
    v->has_pin = s->pin != NULL;
    if (s->pin)
        memcpy(v->pin, s->pin, sizeof(v->pin));
    c->owned = v;
    c->destroy_owned = verifier_destroy;
    tls_restrict(c->ssl);
    tls_keep_sessions(c);
    /* the chain is not built where it is not verified: the system's authorities stay unread */
    if (!v->unverified && !v->has_pin)
        SSL_CTX_set1_cert_store(c->ssl, tls_trust_store(v->trust));
    expect_names(c->ssl, s->names);
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(c->ssl, on_certificate, v);
    return c;
}

struct stream *tls_service_open(struct sched *sched, struct chunk_pool *pool,
                                struct tls_context *c, struct stream *below, bool http2)
{
    static const unsigned char offered[] = "\x02h2\x08http/1.1";
    const struct tls_verifier *v = c->owned;
    unsigned skip = http2 ? 0 : 3;
    struct stream *s = tls_client_begin(sched, pool, c, below, v->server_name);
    SSL *ssl = tls_ssl(s);

    SSL_set_alpn_protos(ssl, offered + skip, sizeof(offered) - 1 - skip);
    if (!host_is_address(str_of(v->server_name)))
        SSL_set_tlsext_host_name(ssl, v->server_name);
    return s;
}

bool tls_chose_http2(const struct stream *s)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(tls_ssl(s), &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

bool tls_was_resumed(const struct stream *s)
{
    return SSL_session_reused(tls_ssl(s)) == 1;
}
