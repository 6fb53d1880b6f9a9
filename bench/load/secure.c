#include "bench/load/secure.h"

#include <errno.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static SSL_CTX *context;

static SSL *ssl_of(struct secure *s)
{
    return (SSL *)s;
}

static void create_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        abort();
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

struct secure *secure_open(int fd, const char *name)
{
    if (!context)
        create_context();
    SSL *ssl = SSL_new(context);
    if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, name))
        abort();
    SSL_set_connect_state(ssl);
    return (struct secure *)ssl;
}

void secure_close(struct secure *s)
{
    if (!s)
        return;
    SSL_shutdown(ssl_of(s));
    SSL_free(ssl_of(s));
}

static ssize_t result_of(struct secure *s, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(ssl_of(s), n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = EPROTO;
        return -1;
    }
}

ssize_t secure_send(struct secure *s, const void *bytes, size_t n)
{
    return result_of(s, SSL_write(ssl_of(s), bytes, n < INT_MAX ? (int)n : INT_MAX));
}

ssize_t secure_recv(struct secure *s, void *bytes, size_t n)
{
    return result_of(s, SSL_read(ssl_of(s), bytes, n < INT_MAX ? (int)n : INT_MAX));
}
