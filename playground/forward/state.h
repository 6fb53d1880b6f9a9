/* playground/forward/state.h - what one port-forward consists of: streams, frames out
 *
 * Shared by the reader (session.c), the workers and the pairs.
 */
#pragma once

#include "base/log.h"
#include "playground/cluster.h"
#include "playground/forward/frame.h"
#include "wire/spdy.h"

struct spdy_inflater;

#define WORKERS 5

struct worker {
    struct list_node queue;
    size_t queued;
    struct frame *hand; /* taken from the queue, not done yet */
    bool stalled;       /* on command */
};

#define STREAM_BUCKETS 64
#define SESSION_ROOM (64 * 1024) /* frames made ahead of the transport */

struct pair;

/* What takes the bytes of a stream. */
enum consumer {
    CONSUMER_PAIR,     /* the forward */
    CONSUMER_ONE_MORE, /* a forward that has ended; its last read still waits */
    CONSUMER_NONE,     /* the worker that brings some waits for ever */
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
    bool frozen;       /* on command: reads and writes nothing */
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
