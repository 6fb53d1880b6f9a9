/* kube/file_reader.h - a small regular file, read on a thread of its own
 *
 * open and read of a file on a file system that hangs (NFS without its server, FUSE without
 * its daemon) return never, and nothing cancels them.  Here they stop a thread that has
 * nothing else to do: the caller waits as long as it likes, and leaves a reader that is not
 * done.  What the thread needs lives until it is through; the process ends without it,
 * unless the kernel cannot kill a thread in that read (a FUSE daemon that has taken the
 * request and never answers).
 */
#pragma once

#include "base/str.h"

struct file_reader;

/* Starts at once.  Without a thread the result is ERR_IO. */
struct file_reader *file_reader_create(const char *path, size_t max);
void file_reader_destroy(struct file_reader *r); /* NULL accepted; does not wait */

/* What file_read_regular returns, once, within max_ms; 0 only looks.  ERR_AGAIN: under way,
 * call again. */
MUST_CHECK enum err file_reader_wait(struct file_reader *r, unsigned max_ms,
                                     char **ret_text, size_t *ret_len, struct diag *why);

/* As file_read_regular, within five seconds: ERR_TIMEOUT.  Blocks: at the start only. */
#define FILE_READ_MS 5000
MUST_CHECK enum err file_read_in_time(const char *path, size_t max, char **ret_text,
                                      size_t *ret_len, struct diag *why);
