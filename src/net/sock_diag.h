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

/* A netlink socket that stays open.  The first question opens it, where sock_diag_open has
 * not done so while descriptors were left. */
struct sock_diag {
    int fd; /* -1: not open */
    uint32_t sequence;
};

#define SOCK_DIAG_CLOSED ((struct sock_diag){ .fd = -1 })

/* Of one family, IPv4 or IPv6, and not mapped. */
struct sock_ends {
    struct sockaddr_storage near, far;
};

struct sock_facts {
    uint32_t uid;
    uint32_t inode;
};

bool sock_diag_open(struct sock_diag *d); /* idempotent; false: errno has the reason */
/* About the far end.  ERR_NOT_FOUND: there is none, though the kernel finds the near end.
 * ERR_ACCESS: not permitted.  ERR_IO: no answer, or none that is about this
 * connection; also when the kernel does not find the near end either, because it cannot
 * look TCP sockets up (tcp_diag is missing) or they are of another network namespace. */
MUST_CHECK enum err sock_diag_ask(struct sock_diag *d, const struct sock_ends *ends,
                                  struct sock_facts *ret);
void sock_diag_close(struct sock_diag *d); /* idempotent */
