/* serve/observation.h - a request that has ended, for the observer and for traces
 *
 * Private to serve/.
 */
#pragma once

#include "serve/attempts.h"
#include "serve/join.h"
#include "serve/observed.h"
#include "serve/visitor.h"

/* sched ms; 0: not reached */
struct milestones {
    uint64_t began, routed_at, answered_at, now;
};

/* The phases between them, and those of the lease. */
struct request_times times_between(const struct milestones *m, const struct lease *l);

/* What an exchange has at its end; borrowed. */
struct observation {
    struct log_id id;
    const struct visitor *from;
    bool http2;
    const struct http1_head *request;
    const struct target *target;
    const struct attempts *attempts;
    const struct join *join;
    struct observed *copies; /* or NULL */
    struct milestones at;
};

/* It borrows from what the observation borrows. */
struct request_event observation_event(const struct observation *o);
