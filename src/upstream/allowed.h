/* upstream/allowed.h - namespaces in which a connection was allowed in the last 30 s
 *
 * Private to upstream/.  An API server that has just started answers every request with 403
 * until it has read its roles.  So a 403 is final only in namespaces where no connection was
 * allowed in the last 30 s; elsewhere the request is retried.
 */
#pragma once

#include "base/map.h"
#include "base/sched.h"

struct allowed {
    struct sched *sched;
    struct map when; /* namespace -> sched ms of the last connection there */
};

void allowed_init(struct allowed *a, struct sched *sched);
void allowed_finish(struct allowed *a);
void allowed_note(struct allowed *a, struct str ns);
bool allowed_lately(const struct allowed *a, struct str ns);
