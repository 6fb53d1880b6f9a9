/* serve/destination.h - may a client's bytes go to the host that it names?
 *
 * Of clients that name one before their first byte: by SOCKS, or in a ClientHello.  Applies
 * names, namespaces and limits in the order of serve/routing.h.  Private to serve/.
 */
#pragma once

#include "serve/serve_state.h"

struct destination {
    struct str host;
    uint16_t port; /* 0: the one of the service that is for TLS */
    bool proxied;  /* the host is not necessarily a name that leads to this listener */
    struct naming_want *zone; /* while the cluster's domain is waited for */
    struct task *wake;        /* wakes when it is known */
};

/* OK: *ret is the target.  ERR_AGAIN: the host may end with the cluster's domain, which is not
 * known yet.  else: *why is the refusal. */
MUST_CHECK enum err destination_check(const struct destination *d, struct serve *serve,
                                      const struct visitor *from, struct target *ret,
                                      struct refusal *why);
