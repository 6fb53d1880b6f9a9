/* upstream/successors.h - a pod that takes another's place is dialled before it is asked
 *
 * Private to upstream/.  Of each service that was in use lately it remembers how many
 * connections at once its pods carried, all together; each endpoint that becomes ready is
 * told to tunnels/ to expect its part; one of a StatefulSet, what its namesake carried.  A pod
 * that was replaced has long left the service by then.  Hears what the catalog tells, and
 * asks nobody.
 */
#pragma once

#include "upstream/upstream.h"

struct successors;

struct successors *successors_create(struct sched *sched, struct tunnels *tunnels,
                                     const struct own_pod *own);
void successors_destroy(struct successors *s); /* NULL accepted */

/* A service changed; either may be NULL. */
void successors_on_change(struct successors *s, const struct service *before,
                          const struct service *after);
