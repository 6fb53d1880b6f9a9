/* net/tls_service.h - TLS of a client towards a service of the cluster
 *
 * A context per service and verification: its session tickets are presented to no other
 * service.  The certificate is verified before a byte of the user is sent, and no client
 * certificate is presented.  The stream is one of net/tls.h: tls_ready, tls_report.
 */
#pragma once

#include "net/tls.h"
#include "net/tls_trust.h"

#define TLS_PIN_SIZE 32
#define TLS_NAMES_MAX 8

struct tls_service_settings {
    struct tls_trust *trust; /* a reference is taken */
    /* The certificate must have one of these; the first is sent as SNI.  Copied; NULL at the
     * end, at most TLS_NAMES_MAX; at least one. */
    const char *const *names;
    bool unverified; /* any certificate is accepted */
    const uint8_t
        *pin; /* only the certificate with this SHA-256 is accepted, whatever its
                           names, dates and issuer are; NULL: none.  TLS_PIN_SIZE; copied */
};

struct tls_context *tls_context_of_service(const struct tls_service_settings *s);

/* Shake hands over `below` (taken over).  http2: offer HTTP/2 and HTTP/1.1 by ALPN, else
 * HTTP/1.1 only. */
struct stream *tls_service_open(struct sched *sched, struct chunk_pool *pool,
                                struct tls_context *c, struct stream *below, bool http2);
/* After the handshake: has the server chosen HTTP/2; has it resumed a session? */
bool tls_chose_http2(const struct stream *s);
bool tls_was_resumed(const struct stream *s);
