/* net/tls_context.c - what the TLS connections to one peer share */
#include "net/tls_context.h"

#include "base/own.h"
#include "net/tls_bio.h"
#include "net/tls_identity.h"
#include "net/tls_identity_ssl.h"
#include "net/tls_ssl.h"

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1; /* the reference is ours now */
}

static void set_modes(SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
}

struct tls_context *tls_context_new(const SSL_METHOD *method)
{
    struct tls_context *c = xcalloc(1, sizeof(*c));

    c->refs = 1;
    c->ssl = SSL_CTX_new(method);
    c->bio = tls_bio_method();
    if (!c->ssl || !c->bio)
        abort(); /* out of memory */
    SSL_CTX_set_app_data(c->ssl, c);
    set_modes(c->ssl);
    return c;
}

static void offer_protocol(SSL_CTX *ssl, const char *name)
{
    char list[32]; /* length-prefixed, as ALPN has it */
    struct str text = name ? str_of(name) : STR("");

    if (str_empty(text) || text.len + 1 > sizeof(list))
        return;
    list[0] = (char)text.len;
    size_t len = str_append(list, sizeof(list), 1, text);
    SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)list, (unsigned)len);
}

void tls_keep_sessions(struct tls_context *c)
{
    SSL_CTX_set_session_cache_mode(c->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ssl, on_new_session);
}

static struct tls_context *new_client(struct tls_identity *i, const char *alpn)
{
    struct tls_context *c = tls_context_new(TLS_client_method());

    offer_protocol(c->ssl, alpn);
    c->identity = tls_identity_ref(i);
    tls_keep_sessions(c);
    return c;
}

struct tls_context *tls_context_of(struct tls_identity *i, const char *alpn)
{
    struct tls_context *c = new_client(i, alpn);

    if (!tls_identity_apply(i, c->ssl))
        abort(); /* it was checked when the identity was created */
    return c;
}

struct tls_context *tls_context_of_proxy(struct tls_identity *i)
{
    struct tls_context *c = new_client(i, "http/1.1");

    tls_identity_apply_to_proxy(i, c->ssl);
    return c;
}

bool tls_context_is_of(const struct tls_context *c, const struct tls_identity *i)
{
    return c && c->identity == i;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    c->refs++;
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || --c->refs)
        return;
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->bio);
    tls_identity_unref(c->identity);
    if (c->owned)
        c->destroy_owned(c->owned);
    free(c);
}
