/* serve/observation.h - a request that has ended, for the observer and for traces
 *
 * Private to serve/.
 */
#pragma once

#include "serve/attempts.h"
#include "serve/join.h"
#include "serve/observed.h"
#include "serve/visitor.h"

/* What an exchange has at its end; borrowed. */
struct observation {
    struct log_id id;
    const struct visitor *from;
    bool http2;
    const struct http1_head *request;
    const struct target *target;
    const struct attempts *attempts;
    const struct join *join;
    struct observed *copies;                     /* or NULL */
    uint64_t began, routed_at, answered_at, now; /* sched ms; 0: not reached */
};

/* It borrows from what the observation borrows. */
struct request_event observation_event(const struct observation *o);
