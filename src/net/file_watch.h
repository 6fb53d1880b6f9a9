/* net/file_watch.h - notice that a file has changed, by whatever way
 *
 * Written in place, replaced by rename, removed and made again, or reached through symlinks
 * that lead elsewhere now, as Kubernetes swaps the files of a secret.  The folders on the way
 * are watched (inotify), so the file need not exist yet.  Changes that another machine makes
 * on a shared file system are not noticed.
 */
#pragma once

#include "net/loop.h"

/* Changes are waited for until nothing happened for a while, so that a file that is written
 * in steps is read once; but no longer than this. */
#define FILE_WATCH_QUIET_MS 100
#define FILE_WATCH_MAX_MS 500

struct file_watch;

/* Wakes the task FILE_WATCH_QUIET_MS to FILE_WATCH_MAX_MS after a change.  What is there and
 * no regular file (a pipe) is not watched. */
struct file_watch *file_watch_open(struct loop *l, const char *path, struct task *wake);
void file_watch_close(struct file_watch *w); /* NULL accepted */
