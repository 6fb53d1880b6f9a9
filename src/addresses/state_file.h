/* addresses/state_file.h - the state file: a table on disk
 *
 * Private to addresses/, but for the path.
 */
#pragma once

#include "addresses/table.h"

/* $XDG_STATE_HOME/kube-tunnel/NAME.addresses, or below ~/.local/state; owned by the caller.
 * NULL: there is neither variable. */
char *state_file_path(const char *name);

/* ERR_NOT_FOUND: there is none.  ERR_ACCESS: other users could have written it, or this one may
 * not read it.  ERR_VERSION, ERR_PROTO, ERR_LIMIT: state_text_read.  ERR_IO.  *why names
 * the file, and what to do with it. */
MUST_CHECK enum err state_file_read(const char *path, struct address_table *t,
                                    struct diag *why);
/* Replaces it as a whole, with mode 0600; makes its folder.  ERR_ACCESS, ERR_IO: *why names it, and
 * what was there is unchanged. */
MUST_CHECK enum err state_file_write(const char *path, const struct address_table *t,
                                     struct diag *why);
