/* upstream/no_endpoint.h - why no endpoint of a service can serve, and whether that may pass
 *
 * Private to upstream/.  Pure.
 */
#pragma once

#include "catalog/catalog.h"
#include "route/route.h"

struct no_endpoint {
    enum err result; /* ERR_UNAVAILABLE */
    bool may_pass;   /* worth waiting for */
};

/* After balance_choose found none for this port; *why is a sentence for a person. */
struct no_endpoint no_endpoint_cause(const struct route *route,
                                     const struct service *service, size_t port_index,
                                     uint64_t now, struct diag *why);
