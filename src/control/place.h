/* control/place.h - the directory of control sockets, and the sockets' names in it
 *
 * $XDG_RUNTIME_DIR/kube-tunnel, or without that variable /tmp/kube-tunnel-UID.  A directory
 * is used only if lstat shows that it is one, that it belongs to this user and that no other
 * user may enter it: so no other user can put a socket there, and no other name is tried.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PLACE_ROOM 4096

struct place {
    char directory[PLACE_ROOM];
    char socket[PLACE_ROOM]; /* NAME.sock in it */
    char lock[PLACE_ROOM];   /* NAME.lock: locked while its process runs */
};

/* The place of the kube-tunnel called `name`.  create: makes the directory if there is none.
 * ERR_NOT_FOUND: there is none.  ERR_ACCESS: it is not this user's alone.  ERR_LIMIT: its
 * path is too long for a socket.  ERR_IO.  *why names the directory and what to do. */
MUST_CHECK enum err place_find(const char *name, bool create, struct place *ret,
                               struct diag *why);

/* Calls back for the name of each socket in the directory, which place_find has found. */
void place_each(const struct place *p, void (*each)(void *owner, const char *name),
                void *owner);
