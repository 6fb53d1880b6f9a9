/* kube/watched_file.h - a small file that other programs replace: tokens, certificates, keys
 *
 * It is read again once a minute, and after watched_file_recheck, on a thread
 * (kube/file_reader.h): a file system that hangs does not stop the loop.  While it cannot
 * be read the old content stays.  The path is opened each time, so a symlink that now
 * leads elsewhere is followed, as Kubernetes swaps the files of a secret.
 */
#pragma once

#include "kube/file_reader.h"

struct watched_file {
    const char *what;           /* "tokenFile", for messages; static */
    char *path;                 /* NULL: there is none */
    char *text;                 /* what was read last; NULL: nothing yet */
    size_t max;                 /* bytes */
    uint64_t fresh_until;       /* ms; the file is not read before */
    struct file_reader *reader; /* under way, or NULL */
    uint64_t read_at;           /* ms; since then */
    uint64_t hang_ms;           /* ms after which a reader that hangs is left */
    bool abandoned;  /* the last reader was abandoned: do not wait for the next */
    bool unreadable; /* logged already */
};

/* path, text: copied; NULL accepted.  text: what the file is known to hold. */
void watched_file_init(struct watched_file *w, const char *what, const char *path,
                       const char *text, size_t max);
void watched_file_finish(struct watched_file *w); /* zeroed accepted; text is wiped */

/* Read it if its time has come; blocks for a tenth of a second at most.  True: `text` is
 * another one than before. */
bool watched_file_look(struct watched_file *w, uint64_t now);
/* Read it at the next look.  False: there is no file. */
bool watched_file_recheck(struct watched_file *w);
/* ... or at a look from that time on. */
void watched_file_again(struct watched_file *w, uint64_t at);
/* A read is under way, and nothing was read yet: look again in WATCHED_FILE_POLL_MS. */
#define WATCHED_FILE_POLL_MS 20
bool watched_file_is_pending(const struct watched_file *w);
