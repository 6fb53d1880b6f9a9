/* upstream/port_use.h - a port of a pod, and how it is spoken to
 *
 * Private to upstream/.  What is kept for a port (connections, what was learnt, waiting leases)
 * is kept for each use of it: a connection that was verified for one service is not used for
 * another service.
 */
#pragma once

#include "catalog/service.h"
#include "upstream/lease.h"

struct port_use {
    uint16_t port;
    uint32_t tls; /* the number of a struct tls_port (upstream/tls_ports.h); 0: plain */
};

static inline struct port_use lease_use(const struct lease *l)
{
    return (struct port_use){ l->port, l->tls };
}

#define POOL_KEY_ROOM 640 /* bytes: namespace, name, UID and numbers at their longest */

/* The key of a use, "NS/POD/UID:PORT" or "NS/POD/UID:PORT+TLS"; borrows `room`. */
struct str pool_key(const struct endpoint *e, struct port_use use,
                    char room[POOL_KEY_ROOM]);
