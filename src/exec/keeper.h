/* exec/keeper.h - a process beside the command that ends with it
 *
 * The command is started by exec(2) of the calling process, so that its process id, terminal,
 * signals and exit status are those of any program.  What has to run meanwhile does so in a
 * keeper: it is no child of the command, has no terminal of its own and no descriptor but those
 * that it is given, and is informed by the kernel when the command ends, however it ends.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct keeper {
    /* Runs in the keeper, which ends when it returns. `ended` becomes readable when the
     * command has ended. */
    void (*run)(void *owner, int ended);
    void *owner;
    const int *kept; /* descriptors that stay open in it */
    size_t kept_count;
};

/* ERR_UNSUPPORTED: the kernel is older than 5.3.  ERR_IO: no process can be made. */
MUST_CHECK enum err keeper_fork(const struct keeper *k, struct diag *why);
