/* upstream/securing.h - TLS on the connection of one lease
 *
 * Private to upstream/.  Between the opening of a connection and its first request: the
 * handshake, and what follows from its failure.  Zeroed before the first use.
 */
#pragma once

#include "upstream/tls_ports.h"

struct choice;
struct task;

struct securing {
    struct tls_port *port;       /* a reference; NULL: the service port is plain */
    struct stream *stream;       /* owned, while the handshake goes on; else NULL */
    struct tls_failure *failure; /* owned: why it has failed; or NULL */
};

enum secured {
    SECURED_WAIT,   /* the handshake goes on */
    SECURED_HTTP1,  /* take the stream: ALPN has chosen HTTP/1, or nothing */
    SECURED_HTTP2,  /* take the stream: ALPN has chosen HTTP/2 */
    SECURED_ENDED,  /* take the stream: it has ended, and its verdict says how */
    SECURED_PLAIN,  /* the port speaks no TLS after all: open another connection to it */
    SECURED_FAILED, /* `failure` has the reason */
};

/* How is the port of this choice spoken to?  Sets choice->tls. */
void securing_choose(struct securing *s, struct tls_ports *ports, struct choice *choice);
static inline uint32_t securing_number(const struct securing *s)
{
    return s->port ? tls_port_number(s->port) : 0;
}

/* Shake hands over `below` (taken over).  http2: offer it beside HTTP/1.1; *wake is woken when securing_run has more to do. */
void securing_start(struct securing *s, struct stream *below, bool http2,
                    struct task *wake);
enum secured securing_run(struct securing *s, struct log_id id);
/* The handshake takes too long: `failure` has that. */
void securing_give_up(struct securing *s, struct log_id id);
void securing_stop(struct securing *s);   /* aborts a handshake that goes on */
void securing_finish(struct securing *s); /* drops the reference and `failure`, too */
