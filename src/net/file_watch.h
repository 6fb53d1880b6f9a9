/* net/file_watch.h - notice that a file has changed, in whatever way
 *
 * Noticed: it was written in place, replaced by rename, removed and created again, or a
 * symlink on its path was changed, which is how Kubernetes replaces the files of a
 * secret.  The folders on the way are watched (inotify), so the file need not exist yet.
 * Changes by another machine on a shared file system are not noticed.
 */
#pragma once

#include "net/loop.h"

/* The task is woken once no change has happened for FILE_WATCH_QUIET_MS, so that a file
 * that is written in steps is read once, but FILE_WATCH_MAX_MS after the first change at
 * the latest. */
#define FILE_WATCH_QUIET_MS 100
#define FILE_WATCH_MAX_MS 500

struct file_watch;

/* Wakes the task FILE_WATCH_QUIET_MS to FILE_WATCH_MAX_MS after a change.  An existing
 * file that is not a regular one (a pipe) is not watched. */
struct file_watch *file_watch_open(struct loop *l, const char *path, struct task *wake);
void file_watch_close(struct file_watch *w); /* NULL accepted */
