/* tunnel/backoff.h - the pause before the next dial after failures
 *
 * Private to tunnel/.  After a failure nothing is dialled for a while, each time twice as
 * long, up to half a second, with jitter.  A success ends the pause, but not one that the API
 * server requested with Retry-After.  Each pod has a back-off, and the API server itself.
 */
#pragma once

#include "base/sched.h"
#include "kube/api.h"

struct backoff {
    uint32_t failures;   /* in a row */
    uint64_t not_before; /* sched ms */
    uint64_t
        retry_after_until; /* sched ms: the same by Retry-After; no success ends it */
    struct api_error last_error;
};

void backoff_on_failure(struct backoff *b, struct sched *s,
                        const struct api_error *error);
/* The same, but dials that fail during the pause do not extend it: dials that were under way
 * together count as one failure. */
void backoff_on_shared_failure(struct backoff *b, struct sched *s,
                               const struct api_error *error);
void backoff_on_success(struct backoff *b, const struct sched *s);
/* Why nothing may be dialled now; NULL: it may. */
const struct api_error *backoff_reason(const struct backoff *b, const struct sched *s);
