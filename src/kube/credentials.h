/* kube/credentials.h - what goes into the Authorization header, at this moment
 *
 * A token file is read again once a minute, because whoever wrote it replaces it; while
 * it cannot be read the old token stays.  Never logged, never in an error.  It is read on a
 * thread (kube/file_reader.h): a file system that hangs does not stop the loop.
 */
#pragma once

#include "kube/file_reader.h"
#include "kube/target.h"

struct credentials {
    const struct kube_target *target; /* borrowed */
    char *header;                     /* "Bearer ..." or "Basic ...", or NULL */
    uint64_t fresh_until;             /* ms; the file is not read before */
    struct file_reader *reader;       /* under way, or NULL */
    uint64_t read_at;                 /* ms; since then */
    uint64_t patience;                /* ms after which it is left, when it hangs */
    bool left;                        /* the last one hung: do not wait for the next */
    bool unreadable;                  /* said so already */
};

void credentials_init(struct credentials *c, const struct kube_target *target);
void credentials_finish(struct credentials *c);

/* Or NULL: none.  Valid until the next call. */
const char *credentials_header(struct credentials *c, uint64_t now);

/* The server did not like them: read the file at the next call.  False: there is none. */
bool credentials_doubt(struct credentials *c);
