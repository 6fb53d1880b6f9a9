/* playground/forward/session.h - one port-forward: the container runtime's end of a SPDY
 * session
 *
 *      stream.in ─▶ reader ─▶ 5 queues of 50 frames ─▶ 5 workers ─▶ pairs ─▶ pods
 *      stream.out ◀─ out ◀─ frames of workers and pairs ◀─ pods
 *
 * It has the defects of the real implementation (moby/spdystream in containerd): a frame
 * goes to the worker of its stream id modulo 5, pings to each in turn; a worker waits
 * until the stream's consumer takes the data, for ever if there is no consumer; while a
 * queue is full the reader waits, and with it the whole session.  There is no flow
 * control.
 */
#pragma once

#include "playground/cluster.h"
#include "playground/drop.h"

/* Call it after the 101 was sent (or put into the stream's queue); takes over the stream.
 * fd is the socket under it. */
void session_open(struct cluster *c, struct stream *stream, int fd, struct str pod_uid);

/* Ends all open sessions, on command. */
void sessions_drop(struct cluster *c, enum drop how);
void sessions_freeze(struct cluster *c);
void sessions_stall(struct cluster *c, unsigned worker);
void sessions_cut_short(struct cluster *c);
void sessions_wake(struct cluster *c);
