/* net/udp.h - sockets for datagrams
 *
 * Datagrams are received and sent in batches, so that a busy socket needs two system calls for
 * UDP_BATCH of them.  After UDP_BATCHES the other tasks of the loop run.
 */
#pragma once

#include <sys/socket.h>

#include "base/err.h"
#include "net/loop.h"

#define UDP_BATCH 16
#define UDP_BATCHES 4

struct udp;

struct datagram {
    const uint8_t *at;
    size_t len;
    bool cut; /* it was longer than the socket's limit */
    const struct sockaddr *from;
    socklen_t from_len;
};

/* Receives datagrams of at most `limit` bytes; the descriptor is taken over.  batch: at most
 * UDP_BATCH at once.  on_datagram is called from the bottom of the stack; it may close the
 * socket. */
struct udp *udp_open(struct loop *l, int fd, size_t limit, size_t batch,
                     void (*on_datagram)(void *owner, const struct datagram *d),
                     void *owner);
void udp_close(struct udp *u); /* NULL accepted */

/* Sends a copy, from within on_datagram together with others.  What the kernel has no room for is
 * lost, as datagrams may be.  n: at most the socket's limit.  to NULL: a connected socket. */
void udp_send(struct udp *u, const struct sockaddr *to, socklen_t to_len,
              const uint8_t *bytes, size_t n);

/* A bound socket.  ERR_IN_USE, ERR_ACCESS, ERR_CONFIG, ERR_NO_FILES: as of listen_socket. */
MUST_CHECK enum err udp_socket(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                               struct diag *why);
/* One that receives from this address only, from a random port that the kernel chooses. */
MUST_CHECK enum err udp_socket_to(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                                  struct diag *why);
