/* upstream/no_endpoint.h - why no endpoint of a service can serve, and whether that may pass
 *
 * Private to upstream/.  Pure.
 */
#pragma once

#include "route/route.h"
#include "upstream/upstream.h"

struct no_endpoint {
    enum err result; /* ERR_UNAVAILABLE */
    bool may_pass;   /* worth waiting for */
};

/* After balance_choose found none for this port; *why is a sentence for a person. */
struct no_endpoint no_endpoint_cause(const struct route *route,
                                     const struct service *service, size_t port_index,
                                     uint64_t now, struct diag *why);
