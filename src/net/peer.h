/* net/peer.h - has the other end of a connection gone altogether, or only stopped sending?
 *
 * A FIN says that no more bytes will come.  A client that shut its sending side down and
 * waits for an answer looks the same on the wire as one that was killed.  When it runs on
 * this machine the kernel knows better: a socket that nobody holds has inode 0 (sock_diag,
 * linux/inet_diag.h).
 */
#pragma once

#include "net/stream.h"

struct peer_watch {
    bool gone;  /* nobody holds the other end */
    bool reset; /* ... and nothing it said can be read any more */
    const struct stream *stream;
    struct timer look;
    unsigned looks;
    struct task *wake;
};

/* Once the stream's end has come: look now and then until it turns out to be gone (then
 * `gone` is set and *wake runs) or peer_watch_stop.  Idempotent while it runs.  The stream
 * is a tcp stream; a peer on another machine is never found to be gone. */
void peer_watch_start(struct peer_watch *w, const struct stream *tcp, struct task *wake);
void peer_watch_stop(struct peer_watch *w); /* idempotent; a zeroed struct is accepted */
