/* base/file.h - small files, whole */
#pragma once

#include "base/str.h"

/* All of a file as terminated text, owned by the caller; pipes are allowed.
 * ERR_NOT_FOUND, ERR_ACCESS, ERR_LIMIT (longer than max), ERR_NO_FILES, ERR_IO, with a
 * sentence that names the path. */
MUST_CHECK enum err file_read(const char *path, size_t max, char **ret_text,
                              size_t *ret_len, struct diag *why);
/* The same, of a regular file only: opening a FIFO or a device may wait, also for ever.
 * ERR_CONFIG: it is something else. */
MUST_CHECK enum err file_read_regular(const char *path, size_t max, char **ret_text,
                                      size_t *ret_len, struct diag *why);

/* `path` as seen from the file `from`: as it is when absolute, else below from's folder.
 * Owned by the caller. */
char *file_beside(const char *from, const char *path);
