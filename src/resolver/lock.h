/* resolver/lock.h - one `kube-tunnel dns` at a time changes the machine
 *
 * A lock of the kernel on a file in a folder that only its owner may open, so that no other user
 * can hold it.  Both are removed when the lock is released; those that a crash has left are used
 * by the next process.  Private to resolver/.
 */
#pragma once

#include "resolver/journal.h"

#define LOCK_FOLDER JOURNAL_FOLDER "/kube-tunnel-dns.lock"

struct lock {
    char *folder, *path; /* NULL: it is not held */
    int fd;
};

/* Waits at most wait_ms.  *ret is untouched unless it returns OK.
 * ERR_IN_USE: another process has it, and *why names that.  ERR_NOT_FOUND: this machine has no
 * folder for it.  ERR_CONFIG: another user may change the file or its folder.  ERR_ACCESS, ERR_IO. */
MUST_CHECK enum err lock_take(const struct machine *m, int wait_ms, struct lock *ret,
                              struct diag *why);
/* One that is not held is accepted. */
void lock_release(struct lock *l);
