/* upstream/allowed.h - where a connection was allowed lately
 *
 * Private to upstream/.  An API server that has just come up refuses everybody until it has
 * read its roles: a 403 is believed only in namespaces where nothing was allowed lately.
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
