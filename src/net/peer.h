/* net/peer.h - the other end of a connection: its user, and whether it still exists
 *
 * On this machine the kernel knows which user made the socket at the other end of a
 * connection.  Access is decided by that user, also if the socket was passed to another
 * process.
 *
 * A FIN means that no more bytes will come.  A client that shut its sending side down and
 * waits for an answer looks the same on the wire as one that was killed.  When it runs on
 * this machine the kernel knows more: a socket that no process holds has inode 0 (sock_diag,
 * linux/inet_diag.h).
 */
#pragma once

#include <sys/socket.h>

#include "net/loop.h"
#include "net/stream.h"

enum peer_kind {
    PEER_REMOTE, /* not over loopback: it may be anywhere */
    PEER_LOCAL,  /* over loopback or a Unix socket, by the user `uid` */
    /* over loopback or a Unix socket, but the kernel names no user: the peer is gone
     * already, its user namespace is not ours, or the kernel does not answer */
    PEER_UNKNOWN,
};

/* The uid that the kernel returns for any user that our user namespace does not have
 * (/proc/sys/kernel/overflowuid). */
#define UID_UNMAPPED 65534

struct peer {
    enum peer_kind kind;
    uint32_t uid; /* of PEER_LOCAL; never UID_UNMAPPED */
};

/* The peer of a connected socket; far: its address.  Does not wait: it takes two or three
 * system calls on a netlink socket of the loop. */
struct peer peer_identify(struct loop *l, int fd, const struct sockaddr *far);
/* The same for a client that is known to be on this machine, at whatever address; never
 * PEER_REMOTE. */
struct peer peer_identify_local(struct loop *l, int fd, const struct sockaddr *far);

struct peer_watch {
    bool gone;  /* no process holds the other end */
    bool reset; /* ... and it was reset: received bytes can no longer be read */
    const struct stream *stream;
    struct timer look;
    unsigned looks;
    struct task *wake;
};

/* Call it when the stream has ended: checks from time to time whether the peer is gone,
 * until it is (then `gone` is set and *wake is woken) or peer_watch_stop.  Idempotent
 * while it runs.  The stream is a tcp stream; a peer on another machine is never found to
 * be gone. */
void peer_watch_start(struct peer_watch *w, const struct stream *tcp, struct task *wake);
void peer_watch_stop(struct peer_watch *w); /* idempotent; a zeroed struct is accepted */
