/* upstream/at_once.h - an endpoint that serves a small request without a dial
 *
 * Private to upstream/.  Dialling a tunnel takes three round trips, a request in an open one
 * takes one.  If the chosen endpoint has neither an idle connection nor a tunnel with room, a
 * small request takes another ready endpoint that has, and a tunnel to the chosen one is
 * dialled in the background.  This does not apply to sessionAffinity, to requests that name an
 * endpoint, and to services whose endpoints carried large transfers lately: such requests
 * should not share a tunnel.
 */
#pragma once

#include "upstream/balance.h"
#include "upstream/connectors.h"
#include "upstream/pool.h"

struct at_once {
    struct pool *pool;
    struct connectors *connectors;
    struct balance *balance;
    bool repeatable; /* this request may be sent again */
};

/* Did an endpoint of this service carry large transfers lately?  Then no request to the
 * service counts as small. */
bool at_once_has_large_transfers(const struct at_once *a, const struct service *s);

/* `chosen`, or another endpoint that needs no dial. */
struct endpoint *at_once_choose(const struct at_once *a, const struct choice *c,
                                struct endpoint *chosen);

/* Should one more tunnel to `e` be prewarmed?  False if another endpoint of the service has
 * more than one tunnel already. */
bool at_once_lacks_more(const struct at_once *a, const struct choice *c,
                        const struct endpoint *e);
/* The next ready endpoint after `first`, for a prewarmed tunnel; NULL: there is none. */
struct endpoint *at_once_second(const struct at_once *a, const struct choice *c,
                                const struct endpoint *first);
/* Prewarm a tunnel to `e` for one connection. */
void at_once_prepare(const struct at_once *a, uint64_t now, const struct endpoint *e);
