/* listen/change.h - change the listeners while they accept
 *
 * A change has two steps, so that it happens as a whole or not at all: listeners_prepare
 * binds what is new, and may fail; listeners_commit and listeners_discard do not.
 *
 * A listener whose address is wanted before and after stays open: clients that wait to be
 * accepted are not lost.  Accepted connections are not touched in any case.
 */
#pragma once

#include "base/err.h"

struct config;
struct listeners;
struct listeners_change;

/* Borrows the config until the change ends.  ERR_IN_USE, ERR_ACCESS, ERR_CONFIG, ERR_LIMIT,
 * ERR_NO_FILES: *why names the listener or user and what to do, and nothing has changed.
 * If a wanted address overlaps one that is given up (127.0.0.1:80 and *:80), the old
 * listener is closed first, when all other addresses are bound and the clients that wait on
 * it are accepted; a change that fails afterwards opens it again.  Listeners at addresses of
 * services with that port close, too; after a failure look-ups open them again. */
MUST_CHECK enum err listeners_prepare(struct listeners *l, const struct config *config,
                                      struct listeners_change **ret, struct diag *why);
/* Also resets the connections of users that may no longer connect.  Either ends the change. */
void listeners_commit(struct listeners_change *c);
void listeners_discard(struct listeners_change *c); /* NULL accepted */
