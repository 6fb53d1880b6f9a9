/* playground/forward/session.h - one port-forward: the runtime's end of a SPDY session
 *
 *      stream.in ─▶ reader ─▶ 5 queues of 50 frames ─▶ 5 workers ─▶ pairs ─▶ pods
 *      stream.out ◀─ out ◀─ frames of workers and pairs ◀─ pods
 *
 * Its virtue is to have the faults of the real one (moby/spdystream under containerd): a
 * frame goes to the worker of its stream id modulo 5, pings to each in turn; a worker
 * hands data over only when the pod's consumer takes it, and waits for ever where nobody
 * does; a full queue stops the reader, and with it the session.  There is no flow
 * control.
 */
#pragma once

#include "base/log.h"
#include "playground/cluster.h"
#include "playground/drop.h"
#include "playground/forward/worker.h"
#include "wire/spdy_headers.h"

#define STREAM_BUCKETS 64
#define SESSION_ROOM (64 * 1024) /* frames made ahead of the transport */

struct pair;

/* Who takes the bytes of a stream. */
enum consumer {
    CONSUMER_PAIR,     /* the forward */
    CONSUMER_ONE_MORE, /* a forward that has ended; its last read still waits */
    CONSUMER_NOBODY,   /* the worker that brings some waits for ever */
    CONSUMER_DRAIN,    /* thrown away */
};

struct spdy_stream {
    struct list_node node; /* in its bucket */
    uint32_t id;
    enum consumer consumer;
    struct pair *pair; /* NULL once the forward has ended */
    bool local_end, remote_end;
};

struct session {
    struct list_node node;
    struct cluster *cluster;
    struct log_id id;
    struct stream *stream; /* owned */
    int fd;                /* under it, borrowed */
    char *pod_uid;
    char sandbox[SANDBOX_SIZE]; /* outlives the pod, in error texts */
    struct task work, flush;
    struct timer look; /* while nothing is read: is the client still there? */
    bool frozen;       /* on command: reads nothing, says nothing */
    bool cut_short;    /* on command: end in the middle of a frame */

    struct spdy_inflater *inflater;
    struct frame *incoming; /* being read */
    uint32_t incoming_left; /* of its body */
    bool body_begun;
    uint32_t next_id;     /* the least that a new stream may have */
    unsigned round_robin; /* the worker of the next ping */
    struct worker workers[WORKERS];

    struct list_node streams[STREAM_BUCKETS];
    struct list_node pairs;
    struct list_node waiting; /* pairs with bytes for which `out` had no room */
    struct bufq out;
    bool replied; /* the first header block has been sent */
};

/* The 101 has been sent (or is in the stream's queue); takes the stream over.  fd is the
 * socket under it. */
void session_open(struct cluster *c, struct stream *stream, int fd, struct str pod_uid);

/* On command, to all that are open. */
void sessions_drop(struct cluster *c, enum drop how);
void sessions_freeze(struct cluster *c);
void sessions_stall(struct cluster *c, unsigned worker);
void sessions_cut_short(struct cluster *c);
void sessions_wake(struct cluster *c);

/* For workers and pairs. */
struct spdy_stream *session_stream(struct session *s, uint32_t id);
struct spdy_stream *session_add_stream(struct session *s, uint32_t id);
void session_remove_stream(struct spdy_stream *stream);

size_t session_room(const struct session *s);
void session_put(struct session *s, const void *bytes, size_t n);
/* A data frame from the front of `from`: n bytes, which may be 0. */
void session_put_data(struct session *s, uint32_t id, uint8_t flags, struct bufq *from,
                      size_t n);
void session_put_reply(struct session *s, uint32_t id);
void session_put_reset(struct session *s, uint32_t id, enum spdy_status status);
/* The pod it leads to, NULL when it is gone. */
struct pod *session_pod(const struct session *s);
