/* resolver/step_kind.h - what differs between kinds of steps; private to resolver/
 *
 * `path` is on this machine, with the root.
 */
#pragma once

#include "resolver/step.h"

#define STEP_TEXT_MAX (1024 * 1024) /* of a file that is read or changed */

struct step_ops {
    enum err (*prepare)(const char *path, struct step *s, struct diag *why); /* or NULL */
    enum step_state (*look)(const char *path, const struct step *s, struct diag *why);
    enum err (*apply)(const char *path, const struct step *s, struct diag *why);
    enum err (*undo)(const char *path, const struct step *s, struct diag *why);
    void (*tidy)(const char *path); /* removes what a crash has left beside it; or NULL */
    bool live;                      /* of the running system: skipped in another root */
};

extern const struct step_ops folder_ops, file_ops, link_ops, block_ops, top_block_ops,
    capability_ops, kernel_ops, command_ops;

/* "PATH: reason" of errno, as ERR_ACCESS, ERR_NOT_FOUND or ERR_IO. */
enum err path_failed(const char *path, struct diag *why);
/* Makes the names in the folder of `path` permanent. */
MUST_CHECK enum err path_sync_folder(const char *path, struct diag *why);
