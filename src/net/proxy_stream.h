/* net/proxy_stream.h - through a proxy that is spoken to over TLS (https://)
 *
 * curl's connection to such a proxy is inside curl's TLS, where a tunnel cannot follow.  So
 * curl brings a socket to the proxy, and here TLS goes on it and a CONNECT through that.
 * Private to net/.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"
#include "net/tls_identity.h"

struct proxy_stream {
    enum err result;       /* ERR_AGAIN: under way */
    struct stream *stream; /* on OK; the taker sets it to NULL */
    struct diag why;
    struct task step;
    struct task *wake;
    char *proxy, *where;
};

struct proxy_through {
    const char *url;   /* of the proxy: its host is verified, its user is sent */
    const char *where; /* "host:port" */
    struct tls_identity *identity; /* its authorities and the system's are trusted */
};

/* fd is taken over.  Wakes when the result is known; ends with proxy_stream_finish only. */
void proxy_stream_start(struct proxy_stream *p, struct loop *l, int fd,
                        const struct proxy_through *through, struct task *wake);
void proxy_stream_finish(struct proxy_stream *p); /* idempotent; zeroed accepted */
