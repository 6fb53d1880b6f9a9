/* serve/routing.h - where a request goes
 *
 * Reads its target, then applies policy, login and limits in their order.  Free of framing
 * and of leases.  Private to serve/.
 */
#pragma once

#include "serve/serve_state.h"

struct routing {
    struct target target;
    struct naming_want zone; /* while ROUTED_AFTER_ZONE */
};

enum routed {
    ROUTED_TO_POD,
    ROUTED_TO_OWN_PAGE, /* it is for kube-tunnel itself */
    ROUTED_AFTER_ZONE, /* the cluster's domain is waited for: its name may end with that */
    ROUTED_NOWHERE,    /* *why is the refusal */
    ROUTED_TO_CLOSE,   /* likewise, and the connection is not used again */
};

/* What a routing is based on, borrowed for one call. */
struct routing_context {
    struct serve *serve;
    const struct visitor *from;
    const struct http1_head *request;
    struct log_id id;
    struct task *wake; /* when the zone is known; NULL: it is not waited for again */
};

enum routed routing_run(struct routing *r, const struct routing_context *c,
                        struct refusal *why);
/* Stop waiting; idempotent. */
void routing_leave(struct routing *r);
/* Is the zone still looked for? */
bool routing_must_wait(const struct serve *s);
