/* listen/port_owner.h - the process that has the port that we wanted
 *
 * Found through /proc: the listening socket's inode, then the process that has it open.
 * Other users' processes stay unknown unless we are root.  Private to listen/.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* "port 80 on 127.0.0.1 is already in use, by nginx (pid 123)", or without the name where
 * it cannot be seen.  Returns ERR_IN_USE. */
enum err port_owner_explain(const struct sockaddr *sa, const char *host, uint16_t port,
                            struct diag *why);
