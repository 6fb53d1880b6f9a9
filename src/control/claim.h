/* control/claim.h - the control socket of one name, held by one process
 *
 * A process that holds a lock on NAME.lock owns NAME.sock.  The kernel releases the lock when
 * the process ends, however it ends, so the socket of a dead process is replaced and that of
 * a live one never is.
 */
#pragma once

#include "control/place.h"

struct claim {
    int lock, socket; /* descriptors; `socket` listens and may be taken: set it to -1 */
    char path[PLACE_ROOM];
};

/* Takes the name and listens, with mode 0600.
 * ERR_IN_USE: a live process has it; *ret_pid is its process id, 0: not known.
 * Others are those of place_find. */
MUST_CHECK enum err claim_take(const char *name, struct claim *ret, int *ret_pid,
                               struct diag *why);
/* Removes the socket; idempotent after claim_take succeeded. */
void claim_release(struct claim *c);
