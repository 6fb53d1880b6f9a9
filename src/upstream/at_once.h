/* upstream/at_once.h - an endpoint on which a small request need not wait
 *
 * Private to upstream/.  A dial takes three round trips, a request on an open tunnel one.  So
 * where the endpoint that was chosen would have to be dialled, a small request takes another
 * ready one that has an idle connection or a free worker slot, and the dial happens beside
 * it.  Not where the client has to stay with its endpoint, or names it; nor where endpoints
 * of the service had large exchanges lately, for which requests should not share a tunnel.
 */
#pragma once

#include "upstream/balance.h"
#include "upstream/connectors.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"

struct at_once {
    struct pool *pool;
    struct connectors *connectors;
    struct balance *balance;
    bool repeatable; /* this request may be sent again */
};

/* Do endpoints of this service carry much?  Then no request to it is small. */
bool at_once_carries_much(const struct at_once *a, const struct service *s);

/* `chosen`, or one that need not be dialled. */
struct endpoint *at_once_choose(const struct at_once *a, const struct choice *c,
                                struct endpoint *chosen);

/* Is there no other endpoint of the service to which there are several tunnels?  Then this
 * one may have one more. */
bool at_once_lacks_more(const struct at_once *a, const struct choice *c,
                        const struct endpoint *e);
/* The ready endpoint after this one, which may be prepared for requests to come; NULL: there
 * is no other. */
struct endpoint *at_once_second(const struct at_once *a, const struct choice *c,
                                const struct endpoint *first);
/* Dial ahead for one connection to it. */
void at_once_prepare(const struct at_once *a, uint64_t now, const struct endpoint *e);
