/* upstream/prewarming.h - dial a pod that replaces another one before a request needs it
 *
 * Private to upstream/.  Remembers, for each service in recent use, how many connections its
 * pods carried at the same time, summed over the pods, because the replaced pod has usually
 * left the service before its replacement is ready.  When an endpoint becomes ready,
 * connector_expect is called with its share of this sum; for a pod of a StatefulSet with what
 * the previous pod of the same name carried.  Works on changes from the catalog only and makes
 * no look-ups.
 */
#pragma once

#include "catalog/catalog.h"
#include "upstream/settings.h"

struct connectors;
struct prewarming;

struct prewarming *prewarming_create(struct sched *sched, struct connectors *connectors,
                                     const struct own_pod *own);
void prewarming_destroy(struct prewarming *s); /* NULL accepted */

/* A service changed; NULL: it did not exist before, or does not exist after. */
void prewarming_on_change(struct prewarming *s, const struct service *before,
                          const struct service *after);
