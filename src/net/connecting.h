/* net/connecting.h - reach host:port: names, happy eyeballs, HTTP and SOCKS proxies
 *
 * libcurl does it (CURLOPT_CONNECT_ONLY on an http:// URL); the socket it brings is ours
 * from then on and everything above it too.
 */
#pragma once

#include "net/transfer.h"

struct connecting {
    enum err result; /* ERR_AGAIN: under way */
    int fd;          /* on OK: connected; the taker sets it to -1 */
    struct diag why;
    struct task *wake;
    void *request; /* private */
};

/* proxy: "http://user:pass@host:port", "socks5h://...", "" for none, NULL: environment's.
 * The struct is the caller's and must stay until connecting_finish. */
void connecting_start(struct connecting *c, struct transfers *t, const char *host,
                      uint16_t port, const char *proxy, uint64_t timeout_ms,
                      struct task *wake);
/* Cancels, or closes an fd nobody took; idempotent; a zeroed struct is accepted. */
void connecting_finish(struct connecting *c);
