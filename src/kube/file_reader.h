/* kube/file_reader.h - a small regular file, read on a thread of its own
 *
 * open() and read() on a file system that hangs (NFS without its server, FUSE without its
 * daemon) never return and cannot be cancelled.  Here they block only a thread of their own: the
 * caller waits as long as it wants, and may destroy a reader that is not done; its memory is
 * freed when the thread returns.  The process can exit before that, unless the kernel cannot
 * kill the thread (a FUSE daemon that has accepted the request and never replies).
 */
#pragma once

#include "base/str.h"

struct file_reader;

/* Starts at once.  Without a thread the result is ERR_IO. */
struct file_reader *file_reader_create(const char *path, size_t max);
void file_reader_destroy(struct file_reader *r); /* NULL accepted; does not wait */

/* Wait up to max_ms (0: do not wait) for the result, which is that of file_read_regular and is
 * returned once.  ERR_AGAIN: not done yet, call again. */
MUST_CHECK enum err file_reader_wait(struct file_reader *r, unsigned max_ms,
                                     char **ret_text, size_t *ret_len, struct diag *why);

/* As file_read_regular, within five seconds: ERR_TIMEOUT.  Blocks: at the start only. */
#define FILE_READ_MS 5000
MUST_CHECK enum err file_read_in_time(const char *path, size_t max, char **ret_text,
                                      size_t *ret_len, struct diag *why);
