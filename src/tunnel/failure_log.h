/* tunnel/failure_log.h - log lines about failed dials to one pod
 *
 * Private to tunnel/.  For dials that fail in a row there is one warning for each new reason,
 * and one line with their number when the row has ended.
 */
#pragma once

#include "base/sched.h"
#include "kube/api.h"

struct failure_log {
    const char *pod; /* borrowed: its label */
    uint16_t cluster;
    uint64_t first,
        last;       /* sched ms: first and last failure of the row; unset if count is 0 */
    uint32_t count; /* dials in the row */
    uint64_t reason; /* hash of the last warning's reason */
};

void failure_log_add(struct failure_log *l, const struct api_error *error, uint64_t now);
/* Would a further failure belong to the same row? */
bool failure_log_goes_on(const struct failure_log *l, uint64_t now);
/* The row is over: by a success, or because the pod is not dialled any more. */
void failure_log_end(struct failure_log *l, bool success, uint64_t now);
