/* listen/listen_sockets.h - bind a listen address of the settings, which may be two
 * sockets
 *
 * "localhost:80" and the default are 127.0.0.1 and ::1, "*:80" is 0.0.0.0 and ::.  Such a
 * pair has one port, on both or not at all; on a machine without IPv6 it is only the
 * first.  Private to listen/.
 */
#pragma once

#include "config/address.h"

struct listen_sockets {
    int fds[2]; /* listening; the caller's */
    size_t count;
};

/* in_pod decides what the host "" means.  *ret is written only on OK.
 * ERR_IN_USE   *why names the process that uses the port, if it is visible
 * ERR_ACCESS   the port needs a privilege; *why has ways to get it
 * ERR_CONFIG   not an address of this machine;  ERR_NO_FILES */
MUST_CHECK enum err listen_sockets_bind(const struct listen_address *a, bool in_pod,
                                        struct listen_sockets *ret, struct diag *why);
