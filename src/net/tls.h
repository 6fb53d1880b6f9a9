/* net/tls.h - TLS over any stream: OpenSSL, its BIO on the stream's queues
 *
 * A tls stream owns the stream below it and holds a reference to its context.  Plaintext written in one turn is sent in as few records as possible,
 * each up to 16 KiB.
 */
#pragma once

#include "net/loop.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "net/tls_identity.h"
#include "net/tls_report.h"

/* Shake hands over `below` (taken over).  server_name is sent as SNI unless it is an IP
 * address, and verified either way.  The stream is usable at once: bytes put into `out`
 * wait for the handshake.  A failed handshake breaks the stream; end.why has the reason
 * (certificate names and dates included).  A connection that ends before the handshake is
 * complete has the verdict V_REFUSED: nothing was delivered. */
struct stream *tls_client_open(struct loop *l, struct tls_context *c,
                               struct stream *below, const char *server_name);

/* Accept a handshake over `below` (taken over), with a context of a server. */
struct stream *tls_server_open(struct sched *sched, struct chunk_pool *pool,
                               struct tls_context *c, struct stream *below);

bool tls_ready(const struct stream *s); /* the handshake is complete */
/* The handshake failed because the far end does not accept the certificate. */
bool tls_is_mistrusted(const struct stream *s);
/* A client's, while its handshake goes on or after it has failed; else NULL. */
const struct tls_report *tls_report(const struct stream *s);
