/* listen/port_owner.h - the process that uses a port that could not be bound
 *
 * Read from /proc: the listening socket's inode, then the process that has it open.
 * Processes of other users are only visible to root.  Private to listen/.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* "port 80 on 127.0.0.1 is already in use, by nginx (pid 123)", or without the process
 * where it is not visible.  Returns ERR_IN_USE. */
enum err port_owner_explain(const struct sockaddr *sa, const char *host, uint16_t port,
                            struct diag *why);
