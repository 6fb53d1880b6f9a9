/* playground/forward/state.h - the structs of one port-forward: session, streams, workers
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
    struct frame *hand; /* taken from the queue, not finished yet */
    bool stalled;       /* on command */
};

#define STREAM_BUCKETS 64
#define SESSION_ROOM (64 * 1024) /* maximum bytes of frames that wait for the transport */

struct pair;

/* What reads the bytes of a stream. */
enum consumer {
    CONSUMER_PAIR,     /* its pair */
    CONSUMER_ONE_MORE, /* the pair has ended, but its last read is still pending */
    CONSUMER_NONE,     /* none: a worker with data for it waits for ever */
    CONSUMER_DRAIN,    /* the bytes are discarded */
};

struct spdy_stream {
    struct list_node node; /* in its bucket */
    uint32_t id;
    enum consumer consumer;
    struct pair *pair; /* NULL once the pair has ended */
    bool local_end, remote_end;
};

struct session {
    struct list_node node;
    struct cluster *cluster;
    struct log_id id;
    struct stream *stream; /* owned */
    int fd;                /* the descriptor below it, borrowed */
    char *pod_uid;
    char sandbox[SANDBOX_SIZE]; /* copied for error texts, since the pod may be gone */
    struct task work, flush;
    struct timer look; /* checks whether the client has closed while nothing is read */
    bool frozen;       /* on command: reads and writes nothing */
    bool cut_short;    /* on command: end in the middle of a frame */

    struct spdy_inflater *inflater;
    struct frame *incoming; /* the frame that is being read */
    uint32_t incoming_left; /* bytes of its body that are missing */
    bool body_begun;
    uint32_t next_id;     /* the smallest id that a new stream may have */
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
/* The session's pod; NULL when it is gone. */
struct pod *session_pod(const struct session *s);
