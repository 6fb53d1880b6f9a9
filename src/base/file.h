/* base/file.h - read a small file as a whole */
#pragma once

#include "base/str.h"

/* All of a file as terminated text, owned by the caller; pipes are allowed.
 * ERR_NOT_FOUND, ERR_ACCESS, ERR_LIMIT (longer than max), ERR_NO_FILES, ERR_IO, with a
 * sentence that names the path. */
MUST_CHECK enum err file_read(const char *path, size_t max, char **ret_text,
                              size_t *ret_len, struct diag *why);
/* The same of standard input, which may also be a socket, whose path cannot be opened. */
#define FILE_INPUT "standard input"
MUST_CHECK enum err file_read_input(size_t max, char **ret_text, size_t *ret_len,
                                    struct diag *why);
/* Like file_read, but ERR_CONFIG if it is no regular file: opening a FIFO or a device may
 * block for ever. */
MUST_CHECK enum err file_read_regular(const char *path, size_t max, char **ret_text,
                                      size_t *ret_len, struct diag *why);

/* Has another process the regular file open for writing?  False where the kernel does not
 * tell: only the owner of a file may find out. */
bool file_is_being_written(const char *path);

/* `path` as written in the file `from`: unchanged when absolute, else relative to the
 * folder of `from`.  Owned by the caller. */
char *file_beside(const char *from, const char *path);
