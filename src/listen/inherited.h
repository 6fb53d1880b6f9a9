/* listen/inherited.h - sockets that systemd opened for this process
 *
 * The protocol of sd_listen_fds(3): LISTEN_PID is the process for which they are,
 * LISTEN_FDS their number, from descriptor 3 on.  Private to listen/.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define INHERITED_FIRST 3
#define INHERITED_MAX 64

/* *ret_count is how many there are, maybe 0; each is a listening stream socket, and the
 * caller owns it.  The variables are removed, so that child processes do not get them.
 * ERR_CONFIG: *why names a descriptor that is no listening socket. */
MUST_CHECK enum err inherited_take(size_t *ret_count, struct diag *why);
