/* tunnel/coalesce.h - small exchanges with a pod share tunnels, large ones have their own
 *
 * Private to tunnel/.  Frames of several small exchanges on one tunnel travel in one TLS
 * record and wake up every proxy on the path once.  A large response on a shared tunnel delays
 * the other pairs, and if its client stops reading it may have to be reset (share.h).  The
 * size of a response is not known beforehand, but the responses of one pod resemble each
 * other: after a large one, the next USAGE_SMALL_RUN exchanges with that pod get own tunnels,
 * up to own_max.  Otherwise own_brief_max of the tunnels are own ones, and the others are
 * shared.  Openings with `alone` are exempt.  Without tunnel_settings.coalesce these functions
 * have no effect.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

/* Were the recent exchanges with this pod small? */
bool coalesce_applies(const struct pod_tunnels *p);

/* There are more own tunnels than small exchanges need, because exchanges were large before.
 * Should this one not be used again, because the shared tunnels have room? */
bool coalesce_is_redundant(const struct pod_tunnels *p, const struct tunnel *t);
/* If this one is such an own tunnel and the shared tunnels have no room, make it a shared one.
 * No connection on it is in use. */
void coalesce_convert(struct pod_tunnels *p, struct tunnel *t);

/* May a second small exchange join the one on this own tunnel rather than wait for a dial?
 * The next function then makes it a shared tunnel. */
bool coalesce_may_join(const struct pod_tunnels *p, const struct tunnel *t);
void coalesce_make_shared(struct pod_tunnels *p, struct tunnel *t);

/* Make a shared tunnel without connections an own tunnel, for an opening that needs one. */
void coalesce_make_own(struct pod_tunnels *p, struct tunnel *t);
