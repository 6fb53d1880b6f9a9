/* resolver/beside.h - a file that is written beside its place, before it is put there
 */
#pragma once

#include <sys/types.h>

#include "base/str.h"

struct beside_facts {
    mode_t mode;
    uid_t uid;
    gid_t gid;
    const char *like; /* a file whose extended attributes it gets, or NULL */
};

/* The hidden name of it: "/etc/.hosts.kube-tunnel"; owned by the caller. */
char *beside_path(const char *path);
/* Removes it, if it is there. */
void beside_remove(const char *path);
/* Makes it anew, with these facts, and makes it permanent.  ERR_ACCESS, ERR_IO. */
MUST_CHECK enum err beside_write(const char *beside, struct str text,
                                 const struct beside_facts *facts, struct diag *why);
