/* serve/outside.h - a connection to a host outside the cluster, in place of a lease's
 *
 * Of proxy requests that may leave the cluster (serve/target.h); then nothing of it is a
 * cluster's: no endpoint, no pool, no retry elsewhere.  Private to serve/.
 */
#pragma once

#include "upstream/lease.h"

struct route;
struct serve;

/* The name of the route is a host outside, or an address.  The lease gets a stream and a
 * message stream, or the failure of net/outside_dial.h; `wake` as for upstream_lease. */
void outside_lease(struct serve *s, const struct route *route, struct lease *lease,
                   struct task *wake);
/* Give it to another user: *to is zeroed before, *from after. */
void outside_lease_move(struct lease *from, struct lease *to, struct task *wake);
/* Close or reset the stream, or cancel; *lease is zeroed. */
void outside_lease_return(struct lease *lease, enum release_mode release);
