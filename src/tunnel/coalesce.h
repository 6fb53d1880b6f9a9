/* tunnel/coalesce.h - small exchanges with a pod travel together, large ones alone
 *
 * Private to tunnel/.  What is on the way together goes in one record, and wakes every relay
 * once; but a large answer holds its neighbours up, and a client that stops reading it may
 * have to be failed for them (share.h).  Nobody knows beforehand which answer is large, but
 * pods have habits: after one that was, the next COALESCE_AFTER exchanges with that pod get
 * tunnels of their own, up to own_max.  Else the first own_brief_max have one, and the
 * others share.  Those who ask to be alone are not meant.  Only with
 * tunnel_settings.coalesce; else nothing here changes anything.
 */
#pragma once

#include "tunnel/pair.h"

#define COALESCE_AFTER 256 /* small exchanges in a row */

/* What this pod exchanged lately was small. */
bool coalesce_is_apt(const struct pod *p);

/* So many bytes went to or fro; the exchange is over. */
void coalesce_on_moved(struct pair *p, size_t n);
void coalesce_on_end(struct pair *p);

/* What was large lately left tunnels of one connection each behind.  The next exchange should
 * not use this one, because there is room on shared ones ... */
bool coalesce_leaves(const struct tunnel *t);
/* ... or it becomes a shared one, because there is not.  Nobody uses it at the moment. */
void coalesce_convert(struct tunnel *t);

/* A tunnel of one small exchange, which a second one may join rather than wait for a dial;
 * it is shared from then on. */
bool coalesce_may_join(const struct tunnel *t);
void coalesce_open_up(struct tunnel *t);

/* A shared tunnel that nothing uses may serve a connection that wants to be alone: it
 * carries one connection at a time from then on. */
bool coalesce_may_separate(const struct tunnel *t);
void coalesce_separate(struct tunnel *t);
