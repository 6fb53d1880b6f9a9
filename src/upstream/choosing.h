/* upstream/choosing.h - which endpoint, and which idle connection to it, a request gets
 *
 * Private to upstream/.  A request whose client has a paired connection (see lease.pair) gets
 * the endpoint of that connection.  Others get the endpoint that upstream/balance.h chooses,
 * except that a small request takes another ready endpoint rather than wait for a dial
 * (upstream/at_once.h).
 */
#pragma once

#include "upstream/at_once.h"
#include "upstream/balance.h"
#include "upstream/connectors.h"
#include "upstream/h2_pool.h"
#include "upstream/pool.h"

/* What it chooses from; borrowed. */
struct choosing {
    struct sched *sched;
    struct pool *pool;
    struct h2_pool *h2_pool;
    struct connectors *connectors;
    struct balance *balance;
    bool prepare_second; /* prewarm a tunnel to a second endpoint of a service in use */
};

/* The result, owned by the caller. */
struct chosen {
    struct endpoint *endpoint; /* a reference */
    uint16_t port;             /* the container's */
    bool is_idle;              /* `idle` was taken from the pool */
    struct pooled idle;
    bool is_shared;     /* HTTP/2: it gets a stream of a connection in the h2_pool */
    enum speaks speaks; /* the protocol that the port speaks, as far as it is known */
    bool is_paired;     /* `idle` is paired with the client's connection */
    bool small;         /* want.small, and the service has no large transfers */
    struct endpoint *second; /* a reference: prewarm it after the request; or NULL */
    bool prewarm;            /* prewarm one more tunnel to `endpoint`, too */
};

/* False: no endpoint can serve now, and *ret is unchanged.  The caller zeroes *ret before. */
bool choosing_run(const struct choosing *c, const struct want *want,
                  const struct choice *choice, struct chosen *ret);
