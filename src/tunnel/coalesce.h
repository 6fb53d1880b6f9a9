/* tunnel/coalesce.h - small exchanges with a pod share tunnels, large ones have their own
 *
 * Private to tunnel/.  What is on the way together goes in one record, and wakes every relay
 * once; but a large answer delays its neighbours, and a client that stops reading it may have
 * to be failed for them (share.h).  The size of an answer is not known beforehand, but the
 * answers of one pod resemble each other: after a large one, the next USAGE_SMALL_RUN
 * exchanges with that pod get tunnels of their own, up to own_max.  Otherwise the first
 * own_brief_max get one, and the others share.  `want.alone` connections are exempt.  Only
 * with tunnel_settings.coalesce; without it nothing here changes anything.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

/* What this pod exchanged lately was small. */
bool coalesce_is_apt(const struct pod_tunnels *p);

/* Large exchanges left tunnels of one connection each behind.  The next exchange should not
 * use this one, because there is room on shared ones ... */
bool coalesce_leaves(const struct pod_tunnels *p, const struct tunnel *t);
/* ... or it becomes a shared one, because there is not.  No connection on it is in use. */
void coalesce_convert(struct pod_tunnels *p, struct tunnel *t);

/* A tunnel of one small exchange, which a second one may join rather than wait for a dial;
 * it is shared from then on. */
bool coalesce_may_join(const struct pod_tunnels *p, const struct tunnel *t);
void coalesce_open_up(struct pod_tunnels *p, struct tunnel *t);

/* A shared tunnel without connections may serve one that wants to be alone: it carries one
 * connection at a time from then on. */
void coalesce_separate(struct pod_tunnels *p, struct tunnel *t);
