/* serve/visitor.h - a client, and the listener that accepted it
 *
 * Private to serve/.
 */
#pragma once

#include "net/peer.h"
#include "serve/exposed.h"

#define SURPLUS_MS 1000 /* the time of a surplus client to send its request */

struct visitor {
    char address[46]; /* without a port */
    char account
        [46];      /* what it counts for: the user of a local client, else the address */
    bool loopback; /* only this machine can reach the listener */
    uint16_t listener_port;
    struct peer peer;
    bool refused;            /* its user may not connect: only a 403 is sent */
    struct exposed *exposed; /* NULL: an HTTP listener; else a reference, held here */
    bool paired;             /* a connection to a pod is for its own use (lease.pair) */
    bool
        surplus; /* over the limit: only own pages are served, other requests get a 503 */
};
