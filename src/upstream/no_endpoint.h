/* upstream/no_endpoint.h - why no endpoint of a service can serve, and whether to wait
 *
 * Private to upstream/.  Pure.
 */
#pragma once

#include "catalog/catalog.h"
#include "route/route.h"

struct no_endpoint {
    enum err result; /* ERR_UNAVAILABLE */
    bool may_pass;   /* an endpoint may become ready: the lease is parked */
};

/* Call after balance_choose found no endpoint for this port.  Sets *why, a sentence for the
 * user. */
struct no_endpoint no_endpoint_cause(const struct route *route,
                                     const struct service *service, size_t port_index,
                                     uint64_t now, struct diag *why);
