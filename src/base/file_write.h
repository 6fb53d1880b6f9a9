/* base/file_write.h - write a small file as a whole */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"

/* Writes all of it, however often it is interrupted; false: errno has the reason. */
MUST_CHECK bool file_write_all(int fd, struct str text);
/* Writes a file of this mode in place of one that may exist: readers see the old text or all
 * of the new one.  ERR_ACCESS or ERR_IO. */
MUST_CHECK enum err file_replace(const char *path, struct str text, mode_t mode,
                                 struct diag *why);
