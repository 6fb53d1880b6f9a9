/* net/sock_diag.h - what the kernel knows of the other end of a connection
 *
 * When both ends of a TCP connection are on this machine, the kernel has a socket for each,
 * and sock_diag(7) names the user that made it and its inode, which is 0 when no process
 * has it open any more.  Netlink answers within the call, so nothing here waits.
 *
 * Private to net/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* A netlink socket that is kept open.  The first query opens it; sock_diag_open opens it
 * earlier, while descriptors are left. */
struct sock_diag {
    int fd; /* -1: not open */
    uint32_t sequence;
};

#define SOCK_DIAG_CLOSED ((struct sock_diag){ .fd = -1 })

/* The two addresses of a connection: both IPv4 or both IPv6, none mapped. */
struct sock_ends {
    struct sockaddr_storage near, far;
};

struct sock_facts {
    uint32_t uid;
    uint32_t inode;
};

bool sock_diag_open(struct sock_diag *d); /* idempotent; false: errno has the reason */
/* Queries the socket of the far end.  ERR_NOT_FOUND: it does not exist, but the near end
 * does.  ERR_ACCESS: not permitted.  ERR_IO: no answer, or one about another connection;
 * also when the kernel does not find the near end either, because it cannot look TCP
 * sockets up (tcp_diag is missing) or they are of another network namespace. */
MUST_CHECK enum err sock_diag_query(struct sock_diag *d, const struct sock_ends *ends,
                                    struct sock_facts *ret);
void sock_diag_close(struct sock_diag *d); /* idempotent */
