/* net/connecting.h - connect to host:port: names, happy eyeballs, HTTP and SOCKS proxies
 *
 * libcurl connects (CURLOPT_CONNECT_ONLY on an http:// URL) and returns the socket; it is
 * not involved afterwards.  The result is a stream instead where the proxy is connected
 * to over TLS (net/proxy_stream.h).
 */
#pragma once

#include "net/stream.h"
#include "net/transfer.h"

struct connecting {
    enum err result; /* ERR_AGAIN: under way */
    /* on OK: connected, or -1 if there is a stream; the caller that takes it sets it to
     * -1 */
    int fd;
    /* on OK without fd: the connection; the caller that takes it sets it to NULL */
    struct stream *stream;
    struct diag why;
    struct task *wake;
    void *request; /* private */
};

struct connecting_to {
    const char *host;
    uint16_t port;
    const char
        /* "http://user:pass@host:port", "socks5h://...", "" for none, NULL: from the
         * environment */
        *proxy;
    struct tls_identity
        *identity; /* for proxies over TLS; NULL: the system's authorities */
    uint64_t timeout_ms;
};

/* `to` is borrowed for the call.  The struct is the caller's and must stay until
 * connecting_finish. */
void connecting_start(struct connecting *c, struct transfers *t,
                      const struct connecting_to *to, struct task *wake);
/* Cancels, or closes a result that was not taken; idempotent; a zeroed struct is accepted. */
void connecting_finish(struct connecting *c);
