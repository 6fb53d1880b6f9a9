/* listen/inherited.h - sockets that systemd opened for us
 *
 * The protocol of sd_listen_fds(3): LISTEN_PID says whom they are for, LISTEN_FDS how
 * many there are, from descriptor 3 on.  Private to listen/.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define INHERITED_FIRST 3
#define INHERITED_MAX 64

/* How many there are, 0 without any: each is a listening stream socket and now ours.  The
 * variables are gone afterwards: they are not for those we might start.
 * ERR_CONFIG says which descriptor is something else. */
MUST_CHECK enum err inherited_take(size_t *ret_count, struct diag *why);
