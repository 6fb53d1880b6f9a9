#include "playground/tls_server.h"

#include <openssl/x509.h>

#include "base/own.h"
#include "net/tls_pem.h"
#include "net/tls_ssl.h"

bool tls_peer_name(const struct stream *s, char *out, size_t room)
{
    SSL *ssl = tls_ssl(s);
    X509 *peer = ssl ? SSL_get1_peer_certificate(ssl) : NULL;

    if (!peer)
        return false;
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, out,
                                      (int)room);
    X509_free(peer);
    return n > 0;
}

/* Contexts. */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *owner)
{
    const unsigned char *accepted = owner;
    unsigned char *found;

    (void)ssl;
    int result =
        SSL_select_next_proto(&found, out_len, accepted, accepted[0] + 1u, in, in_len);
    *out = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
                                            : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void free_chain(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* Sets the authorities of client certificates that are accepted. */
static void name_authorities(SSL_CTX *ssl)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));

    for (int n = 0; n < sk_X509_OBJECT_num(objects); n++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, n));
        if (x)
            SSL_CTX_add_client_CA(ssl, x);
    }
}

static enum err load(SSL_CTX *ssl, const struct tls_server_settings *s, struct diag *why)
{
    struct tls_pem certificate = { s->certificate, "certificate" };
    struct tls_pem key_pem = { s->key, "private key" };
    struct tls_pem ca = { s->ca, "certificate authority" };
    AUTO(free_chain) STACK_OF(X509) *chain = NULL;
    AUTO(free_key) EVP_PKEY *key = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);

    enum err e = s->ca ? pem_read_authorities(&ca, store, NULL, why) : OK;
    if (!e)
        e = pem_read_chain(&certificate, &chain, why);
    if (!e)
        e = pem_read_key(&key_pem, sk_X509_value(chain, 0), &key, why);
    if (e)
        return e;
    X509 *leaf = sk_X509_shift(chain);
    bool ok = SSL_CTX_use_cert_and_key(ssl, leaf, key, chain, 1) == 1;
    X509_free(leaf);
    return ok ? OK : diag_set(why, ERR_TLS, "certificate: %s", tls_reason("refused"));
}

enum err tls_server_context(const struct tls_server_settings *s, struct tls_context **ret,
                            struct diag *why)
{
    struct tls_context *c = tls_context_new(TLS_server_method());
    enum err e = load(c->ssl, s, why);

    if (e) {
        tls_context_unref(c);
        return e;
    }
    if (s->alpn)
        SSL_CTX_set_alpn_select_cb(c->ssl, on_alpn, (void *)s->alpn);
    name_authorities(c->ssl);
    SSL_CTX_set_session_id_context(c->ssl, (const unsigned char *)"kube-tunnel", 11);
    SSL_CTX_set_verify(
        c->ssl, s->request_client_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *ret = c;
    return OK;
}
