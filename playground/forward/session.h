/* playground/forward/session.h - one port-forward: the runtime's end of a SPDY session
 *
 *      stream.in ─▶ reader ─▶ 5 queues of 50 frames ─▶ 5 workers ─▶ pairs ─▶ pods
 *      stream.out ◀─ out ◀─ frames of workers and pairs ◀─ pods
 *
 * It has the faults of the real one (moby/spdystream under containerd): a frame goes to
 * the worker of its stream id modulo 5, pings to each in turn; a worker hands data over
 * only when the pod's consumer takes it, and waits for ever where there is no consumer; a
 * full queue stops the reader, and with it the session.  There is no flow control.
 */
#pragma once

#include "playground/cluster.h"
#include "playground/drop.h"

/* The 101 has been sent (or is in the stream's queue); takes the stream over.  fd is the
 * socket under it. */
void session_open(struct cluster *c, struct stream *stream, int fd, struct str pod_uid);

/* On command, to all that are open. */
void sessions_drop(struct cluster *c, enum drop how);
void sessions_freeze(struct cluster *c);
void sessions_stall(struct cluster *c, unsigned worker);
void sessions_cut_short(struct cluster *c);
void sessions_wake(struct cluster *c);
