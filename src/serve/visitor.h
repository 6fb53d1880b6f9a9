/* serve/visitor.h - a client, and the listener that accepted it
 *
 * Private to serve/.
 */
#pragma once

#include "net/peer.h"
#include "serve/exposed.h"

struct visitor {
    char address[46]; /* without a port */
    char account
        [46];       /* what it counts for: the user of a local client, else the address */
    bool loopback;  /* only this machine can reach the listener */
    bool same_user; /* that runs this process, or root */
    uint16_t listener_port;
    struct peer peer;
    bool tls;                /* its TLS ends here */
    bool refused;            /* its user may not connect: only a 403 is sent */
    struct exposed *exposed; /* NULL: an HTTP listener; else a reference, held here */
    bool paired;             /* a connection to a pod is for its own use (lease.pair) */
    bool
        surplus; /* over the limit: only own pages are served, other requests get a 503 */
};

/* `ms`, or less for a surplus client. */
static inline uint64_t visitor_deadline_ms(const struct visitor *v, uint64_t ms)
{
    const uint64_t surplus_ms = 1000;

    return v->surplus && ms > surplus_ms ? surplus_ms : ms;
}
