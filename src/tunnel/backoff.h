/* tunnel/backoff.h - when may be dialled again after failures
 *
 * Private to tunnel/.  After a failure nothing is dialled for a while, each time twice as
 * long, up to half a second, with jitter; a Retry-After is kept whatever succeeds meanwhile.
 * One for each pod, and one for the API server itself.
 */
#pragma once

#include "base/sched.h"
#include "kube/api.h"

struct backoff {
    uint32_t failures;    /* in a row */
    uint64_t not_before;  /* sched ms */
    uint64_t asked_until; /* sched ms: the same, by a Retry-After: no success ends it */
    struct api_error last_error;
};

void backoff_on_failure(struct backoff *b, struct sched *s,
                        const struct api_error *error);
/* The same for dials that were under way together: they count as one. */
void backoff_on_shared_failure(struct backoff *b, struct sched *s,
                               const struct api_error *error);
void backoff_on_success(struct backoff *b, const struct sched *s);
/* Why nothing may be dialled now; NULL: it may. */
const struct api_error *backoff_reason(const struct backoff *b, const struct sched *s);
