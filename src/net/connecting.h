/* net/connecting.h - reach host:port: names, happy eyeballs, HTTP and SOCKS proxies
 *
 * libcurl does it (CURLOPT_CONNECT_ONLY on an http:// URL); the socket it brings is ours
 * from then on and everything above it too.  A proxy that is spoken to over TLS brings a
 * stream instead (net/proxy_stream.h).
 */
#pragma once

#include "net/stream.h"
#include "net/transfer.h"

struct connecting {
    enum err result;       /* ERR_AGAIN: under way */
    int fd;                /* on OK: connected, or -1; the taker sets it to -1 */
    struct stream *stream; /* on OK: if it is not fd; the taker sets it to NULL */
    struct diag why;
    struct task *wake;
    void *request; /* private */
};

struct connecting_to {
    const char *host;
    uint16_t port;
    const char
        *proxy; /* "http://user:pass@host:port", "socks5h://...", "" for none, NULL:
                          environment's */
    struct tls_identity
        *identity; /* for proxies spoken to over TLS; NULL: the system's */
    uint64_t timeout_ms;
};

/* `to` is borrowed for the call.  The struct is the caller's and must stay until
 * connecting_finish. */
void connecting_start(struct connecting *c, struct transfers *t,
                      const struct connecting_to *to, struct task *wake);
/* Cancels, or closes a result that was not taken; idempotent; a zeroed struct is accepted. */
void connecting_finish(struct connecting *c);
