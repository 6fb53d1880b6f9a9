/* kube/kubeconfig_write.h - write new tokens of a user's auth-provider into a kubeconfig
 *
 * As kubectl does: FILE.lock keeps others out meanwhile.  The file is replaced by a rename,
 * so no program reads half of it, and keeps its mode and owner; a mount point is overwritten,
 * because it cannot be replaced.  A link is followed.  Nothing else in it changes, comments
 * included.
 */
#pragma once

#include "base/err.h"
#include "yaml/edit.h"

/* ERR_IN_USE: another program has the lock; try again.  ERR_CONFIG, ERR_ACCESS, ERR_IO with a
 * sentence that names the file; then it is as it was. */
MUST_CHECK enum err kubeconfig_write_provider(const char *path, const char *user,
                                              const struct yaml_edit *edits, size_t count,
                                              struct diag *why);
