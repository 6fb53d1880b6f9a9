/* upstream/choosing.h - which endpoint, and which idle connection to it, a request gets
 *
 * Private to upstream/.  The endpoint that upstream/balance.h chooses, or the one at the
 * other end of a paired connection.  A small request takes another ready one rather than
 * wait for a dial (upstream/at_once.h).
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
    bool prepare_second; /* have a tunnel to a second endpoint of a service in use */
};

/* The references are the caller's. */
struct chosen {
    struct endpoint *endpoint; /* a reference */
    uint16_t port;             /* the container's */
    bool is_idle;              /* `idle` is the caller's, lent */
    struct pooled idle;
    bool is_shared;     /* HTTP/2: a stream of a connection in the h2_pool is wanted */
    enum speaks speaks; /* ... as far as is known of the port */
    bool is_paired;     /* ... and it is the one that is paired with the client's */
    bool small;         /* as the request wanted, and its service carries nothing large */
    struct endpoint *second; /* a reference: to be prepared after the request; or NULL */
    bool prewarm;            /* another tunnel to the endpoint, too */
};

/* False: no endpoint can serve now, and *ret is as it was.  *ret is zeroed before. */
bool choosing_run(const struct choosing *c, const struct want *want,
                  const struct choice *choice, struct chosen *ret);
