/* net/address_socket.h - a socket for one address, and errors that name the address
 *
 * For what is bound, listened on or connected to; *why has the address and the system's reason.
 * Private to net/.
 */
#pragma once

#include <sys/socket.h>

#include "base/err.h"

/* type: SOCK_STREAM or SOCK_DGRAM.  It does not block, and one of IPv6 is of IPv6 alone.
 * ERR_NO_FILES, ERR_CONFIG. */
MUST_CHECK enum err address_socket(const struct sockaddr *sa, int type, int *ret_fd,
                                   struct diag *why);
/* bind, listen or connect has just failed (errno): closes fd.  Returns ERR_IN_USE, ERR_ACCESS or
 * ERR_CONFIG. */
enum err address_socket_failed(const struct sockaddr *sa, int fd, struct diag *why);
