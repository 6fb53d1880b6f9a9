/* upstream/balance.h - which endpoint of a service gets the next exchange
 *
 * Private to upstream/.  Prefers ready endpoints.  Of two ready endpoints taken at random it
 * chooses the one with fewer exchanges, and of two with equally many the one that was used
 * longer ago, so that few clients still reach all pods in turn.  With sessionAffinity:
 * ClientIP a client keeps its endpoint while that is ready.
 */
#pragma once

#include "base/sched.h"
#include "catalog/catalog.h"
#include "route/route.h"
#include "upstream/pod_load.h"
#include "upstream/settings.h"

struct balance;

struct balance *balance_create(struct sched *sched);
void balance_destroy(struct balance *b); /* NULL accepted */
void balance_trim(struct balance *b);    /* forgets endpoints without exchanges */

struct choice {
    const struct route *route;
    const struct service *service;
    size_t port_index;
    uint32_t tls; /* of the service port, as in struct port_use */
    struct str client;
    const struct endpoint
        *avoid; /* chosen only if no other endpoint can serve; may be NULL */
    const struct own_pod *own; /* for loops_check, as are the listeners */
    const struct own_listeners *listeners;
};

/* The endpoint for a request, borrowed from the service; NULL: no endpoint may be used now.
 * Endpoints that are not ready get only requests that name them, and terminating ones are
 * used only when none is ready. */
struct endpoint *balance_choose(struct balance *b, const struct choice *c);

/* How many of the service's endpoints, from the first on, may be chosen: all of them, or the
 * first SERVICE_SUBSET of a large service. */
size_t choice_limit(const struct choice *c);

/* Is this endpoint ready, not an outlier and not to be avoided? */
bool balance_is_fit(const struct balance *b, const struct choice *c,
                    const struct endpoint *e);
/* Has `e` fewer exchanges than `than`, or as many and an older last use? */
bool balance_prefers(const struct balance *b, const struct endpoint *e,
                     const struct endpoint *than);
/* Does the route lead to this endpoint of the service? */
bool balance_may_choose(const struct balance *b, const struct choice *c,
                        const struct endpoint *e);

/* An exchange begins and ends on an endpoint. */
void balance_begin(struct balance *b, const struct endpoint *e);
void balance_end(struct balance *b, const struct endpoint *e);
/* The endpoint refused a connection, or sent a response on one.  After two refusals in a row
 * it is an outlier for that port (chosen last) for half a minute.  Call these between
 * balance_begin and balance_end. */
void balance_on_refusal(struct balance *b, const struct endpoint *e, uint16_t port);
void balance_on_answer(struct balance *b, const struct endpoint *e, uint16_t port);
/* Has this port of the endpoint sent a response within the last minute? */
bool balance_answered_lately(const struct balance *b, const struct endpoint *e,
                             uint16_t port);
void balance_each(const struct balance *b,
                  void (*each)(void *owner, const struct pod_load *), void *owner);
void balance_forget(struct balance *b, const char *pod_key);
