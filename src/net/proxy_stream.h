/* net/proxy_stream.h - a stream through an https:// proxy
 *
 * curl cannot hand over a connection that its own TLS encrypts.  So curl only connects to
 * the proxy; TLS and the CONNECT request are done here.  Private to net/.
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
    /* its certificate authorities and the system's are trusted */
    struct tls_identity *identity;
};

/* fd is taken over.  The task is woken when the result is known.  Only
 * proxy_stream_finish ends it. */
void proxy_stream_start(struct proxy_stream *p, struct loop *l, int fd,
                        const struct proxy_through *through, struct task *wake);
void proxy_stream_finish(struct proxy_stream *p); /* idempotent; zeroed accepted */
