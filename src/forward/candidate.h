/* forward/candidate.h - which of several pods is forwarded to
 *
 * As kubectl chooses: a pod with a node before one without, running before pending, ready before
 * not ready, then the one that has been ready for longest, with the fewest restarts, the oldest.
 * Beside that a pod that is being deleted is the last choice, and among pods of the same
 * readiness the present one stays.  Pure.
 */
#pragma once

#include "catalog/objects.h"

struct candidate {
    struct pod *pod;                   /* owned; NULL: none */
    json_t *object;                    /* a reference */
    const char *ready_since, *created; /* borrowed from the object; RFC 3339, or "" */
    long long restarts;                /* of the container that had most */
};

/* ERR_PROTO: it is no pod. */
MUST_CHECK enum err candidate_read(json_t *object, struct candidate *ret,
                                   struct diag *why);
void candidate_finish(struct candidate *c); /* zeroed accepted */
/* Is `a` the better choice?  current: the key of the present pod, or NULL. */
bool candidate_is_better(const struct candidate *a, const struct candidate *b,
                         const char *current);
bool candidate_is_running(const struct candidate *c);
