/* net/tcp.h - TCP (and Unix) sockets as streams, and listening ones
 *
 * A tcp stream owns its descriptor.  It reads into whole chunks, writes with one writev
 * per turn, and requests events from the kernel only where its queues need them.  It
 * reads little at once until its user has kept up for some time, so that a slow user
 * causes little buffering.
 */
#pragma once

#include "base/address.h"
#include "net/loop.h"
#include "net/stream.h"

#define TCP_IN_LIMIT (4 * CHUNK_ROOM)
#define TCP_OUT_LIMIT (5 * CHUNK_SIZE)

/* Adopt a connected socket.  Sets O_NONBLOCK, TCP_NODELAY.  in_limit/out_limit 0: the
 * defaults.  Never fails: an error shows as a broken stream. */
struct stream *tcp_open(struct loop *l, int fd, size_t in_limit, size_t out_limit);

/* Like tcp_open, for a descriptor from a listener, which has its options already.  It is
 * read in this turn without a poll, because most clients send first and have already
 * sent. */
struct stream *tcp_open_accepted(struct loop *l, int fd);

/* The descriptor, for socket options and getpeername; still owned by the stream.  Of a
 * stream on top of others, that of the lowest.  -1: not a tcp stream. */
int tcp_fd(const struct stream *s);

/* Bytes in the kernel's send queue that the far end has not acknowledged.  0 for other
 * streams. */
size_t tcp_queued(const struct stream *s);

/* Has the far end's kernel answered nothing for `ms`, though two probes were sent?  If
 * only its program does not read, the kernel answers that it has no room (RFC 9293,
 * section 3.8.6.1).  False for other streams. */
bool tcp_is_unanswered(const struct stream *s, uint64_t ms);

/* TCP_NODELAY, and a limit on what the kernel buffers unsent. */
void tcp_set_options(int fd);

/* A listening socket.  on_accept gets a connected descriptor, which it owns, and its
 * peer; it is called from the bottom of the stack.  When descriptors run out, accepting
 * pauses (logged once) and resumes by itself, without busy waiting.  Before that the
 * functions of listener_on_shortage are called. */
struct listener;
struct listener *listener_open(struct loop *l, int fd,
                               void (*on_accept)(void *owner, int fd,
                                                 const struct sockaddr *peer),
                               void *owner);
/* Sets the functions for when descriptors run out.  free_one closes a less important
 * descriptor at once, or returns false.  Then the connection is accepted on the loop's
 * reserve descriptor and passed to `refuse`, which closes it before it returns. */
void listener_on_shortage(struct listener *l, bool (*free_one)(void *owner),
                          void (*refuse)(void *owner, int fd));
void listener_pause(struct listener *, bool paused);
int listener_fd(const struct listener *);
/* Accept the clients that wait at present, for a listener that is about to be closed: the
 * kernel would reset them. */
void listener_accept_waiting(struct listener *);
void listener_close(struct listener *); /* NULL accepted; closes the descriptor */

/* Bind and listen.  The address is numeric.
 * ERR_IN_USE, ERR_ACCESS, ERR_CONFIG (not an address of this machine), ERR_NO_FILES. */
MUST_CHECK enum err listen_socket(const struct sockaddr *sa, socklen_t len, int *ret_fd,
                                  struct diag *why);
/* The same on one network device; NULL: on all.  ERR_ACCESS also where the kernel does not let
 * this process choose one. */
MUST_CHECK enum err listen_socket_on(const struct sockaddr *sa, socklen_t len,
                                     const char *device, int *ret_fd, struct diag *why);
