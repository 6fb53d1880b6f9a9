/* listen/inherited.h - sockets that systemd opened for us
 *
 * The protocol of sd_listen_fds(3): LISTEN_PID is the process that they are for, LISTEN_FDS
 * their number, from descriptor 3 on.  Private to listen/.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define INHERITED_FIRST 3
#define INHERITED_MAX 64

/* How many there are, 0 without any: each is a listening stream socket and now ours.  The
 * variables are removed: they are not for processes that we may start.
 * ERR_CONFIG: *why names a descriptor that is no listening socket. */
MUST_CHECK enum err inherited_take(size_t *ret_count, struct diag *why);
