/* exec/view.h - a private view of the file system, in which names of the cluster resolve
 *
 * The calling process, which has one thread, gets a mount namespace of its own in which
 * /etc/hosts and /etc/nsswitch.conf are other files, and the socket of nscd is hidden.  Without
 * the right to mount it is made in a user namespace that maps the caller's user and group to
 * themselves.  Nothing else differs: network, processes and files are those of the caller.
 * Only the process and its descendants have the view; it ends with the last of them.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct view {
    int hosts;     /* the new /etc/hosts, empty, open for writing; owned by the caller */
    char *machine; /* the text of the machine's; owned by the caller */
    size_t machine_len;
    bool own_user_namespace;
};

/* ERR_UNAVAILABLE: the system refuses it, and *why names the setting; nothing is changed.
 * ERR_IO: it failed on the way, and the process may be in namespaces of its own. */
MUST_CHECK enum err view_enter(struct view *ret, struct diag *why);

/* Gives up the capabilities that the user namespace gave, for this program and those it starts:
 * a set-user-ID program or one with file capabilities gets none either (no_new_privs).
 * Without a user namespace of its own the process keeps what it has. */
MUST_CHECK enum err view_drop_rights(const struct view *v, struct diag *why);
