/* serve/routed_lease.h - a lease from the cluster that its route names
 *
 * The only way from serve/ to a pod.  Private to serve/.
 */
#pragma once

#include "upstream/lease.h"

struct serve;

/* upstream_lease of the route's cluster, to which the lease holds a reference; want->id gets
 * its number.  A closed namespace, or a label without a cluster, fails the lease. */
void routed_lease(struct serve *s, struct want *want, struct lease *lease,
                  struct task *wake);
/* It failed because its cluster was replaced while it waited: lease again. */
bool routed_lease_was_replaced(const struct lease *lease);
/* upstream_return, and drops the reference. */
void routed_lease_return(struct lease *lease, enum release_mode release);
