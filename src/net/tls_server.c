/* net/tls_server.c - the server's side of TLS */
#include <openssl/err.h>

#include "net/tls.h"
#include "net/tls_ssl.h"

/* The first protocol of the server's list that the client offers; without one the handshake
 * fails (RFC 7301, section 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                        const unsigned char *offered, unsigned offered_len, void *owner)
{
    const char *spoken = owner;
    unsigned char *found;

    (void)ssl;
    if (SSL_select_next_proto(&found, ret_len, (const unsigned char *)spoken,
                              (unsigned)strlen(spoken), offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = found;
    return SSL_TLSEXT_ERR_OK;
}

/* Sessions are resumed by tickets alone, so nothing is kept for a client.  One ticket is
 * enough for a browser that opens one connection of HTTP/2 at a time.  OpenSSL refuses
 * renegotiation by default. */
static void set_server_modes(SSL_CTX *ssl)
{
    /* The hash of a cipher suite is that of its key schedule, which is a fifth of a handshake:
     * SHA-256 is the fastest. */
    if (SSL_CTX_set_ciphersuites(ssl,
                                 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                 "TLS_AES_256_GCM_SHA384") != 1)
        abort(); /* out of memory */

    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 1);
}

struct tls_context *tls_context_of_server(X509 *certificate, EVP_PKEY *key,
                                          const char *alpn)
{
    struct tls_context *c = tls_context_new(TLS_server_method());

    set_server_modes(c->ssl);
    if (SSL_CTX_use_certificate(c->ssl, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(c->ssl, key) != 1) {
        ERR_clear_error();
        tls_context_unref(c);
        return NULL;
    }
    if (alpn)
        SSL_CTX_set_alpn_select_cb(c->ssl, on_protocols, (void *)alpn);
    return c;
}

struct stream *tls_server_open(struct sched *sched, struct chunk_pool *pool,
                               struct tls_context *c, struct stream *below)
{
    struct stream *s = tls_open(sched, pool, c, below);

    SSL_set_accept_state(tls_ssl(s));
    return s;
}
