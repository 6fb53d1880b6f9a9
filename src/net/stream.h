/* net/stream.h - a bounded pipe of bytes with two ends
 *
 *          in  <── bytes from the far end, taken by the user of the stream
 *          out ──> bytes for the far end, put there by the user
 *
 * It is the interface of TCP, of TLS over another stream, of a forwarded connection in a
 * tunnel and (in tests) of a pair in memory.  The user works on the two queues and then
 * calls stream_update(); the stream derives from them whether to read and write, and
 * wakes its user when it received bytes, has room again, or has ended.  A wake-up does
 * not state its reason: check the fields.
 *
 * `stuck` and `paused` apply back-pressure before queues are full.  The code that carries
 * bytes from one stream to another pauses the first while the second is stuck, and a
 * stream on top of another one passes both flags on: so bytes stay with their sender,
 * instead of filling every queue on the path.
 *
 * `end` has how the stream ended.  in_eof and broken are never set while the verdict is
 * V_OPEN.
 */
#pragma once

#include <stdbool.h>

#include "base/bufq.h"
#include "base/err.h"
#include "base/sched.h"

/* clang-format off */
enum verdict {
    V_OPEN,
    V_CLEAN,          /* the far end finished; everything it sent is in `in` */
    V_REFUSED,        /* nothing was delivered: even a POST may be retried */
    V_RESET,          /* cut: the received bytes may not be all */
    V_TRANSPORT_LOST, /* the connection below has ended: cut, and not by its far end */
    V_UNPROCESSED,    /* the far end declares that it has not looked at it; it lives on */
    V_TARGET_GONE,    /* the far end does not exist any more; never delivered */
};
/* clang-format on */

struct stream_end {
    enum verdict verdict;
    bool opened; /* the far end has acknowledged the stream: for diagnosis only */
    struct diag why;
};

struct stream;

struct stream_ops {
    void (*update)(struct stream *);
    void (*close)(struct stream *);
    void (*abort)(struct stream *);
    bool half_close; /* either direction may end while the other goes on */
    /* NULL: the time-out cannot be set */
    void (*set_patience)(struct stream *, uint64_t ms);

    /* For a pool that keeps streams between two uses.  These may be NULL: then the stream
     * does not share its tunnel, and may be reused whenever it is kept. */
    void (*lend)(struct stream *, bool lent);
    void (*set_alone)(struct stream *, bool alone);
    bool (*is_reusable)(const struct stream *);
    bool (*is_free)(const struct stream *, bool alone);

    /* The stream that this one stands on; NULL: none. */
    struct stream *(*below)(const struct stream *);
};

/* Embedded in its implementation; fields are read by the user, written by the stream,
 * except the contents of the queues and `wake`. */
struct stream {
    const struct stream_ops *ops;
    struct bufq in, out;
    bool in_eof;  /* no byte will follow those in `in` */
    bool broken;  /* neither direction works; unsent bytes are lost */
    bool shut;    /* the user has ended `out` */
    bool out_eof; /* ... and the end has been sent */
    bool paused;  /* the user does not want to be read for now (slow reader) */
    bool stuck;   /* the far end takes no more of `out` for now */
    struct stream_end end;
    struct task *wake; /* borrowed; NULL: none */
};

/* Call it after any change to the queues: reads, writes and flushes as far as possible,
 * in this turn. */
static inline void stream_update(struct stream *s)
{
    s->ops->update(s);
}

/* Send what is in `out`, then the end. */
static inline void stream_shutdown(struct stream *s)
{
    if (s->shut)
        return;
    s->shut = true;
    s->ops->update(s);
}

/* End it with V_TRANSPORT_LOST once its far end's kernel has acknowledged nothing for so
 * long of what was sent, though it was sent again.  0: wait as long as the kernel does. */
static inline void stream_set_patience(struct stream *s, uint64_t ms)
{
    if (s->ops->set_patience)
        s->ops->set_patience(s, ms);
}

static inline bool stream_has_half_close(const struct stream *s)
{
    return s->ops->half_close;
}

/* The pointer is dead to the caller and no wake-up will come.  Bytes still in `out` are
 * dropped (wait for bufq_empty first); the far end sees an orderly end where the transport
 * allows it.  NULL accepted. */
static inline void stream_close(struct stream *s)
{
    if (s)
        s->ops->close(s);
}

/* The same, but the far end sees a reset. */
static inline void stream_abort(struct stream *s)
{
    if (s)
        s->ops->abort(s);
}

/* lent: the stream is in use from now on; else it is only kept, and its tunnel may
 * expire. */
static inline void stream_lend(struct stream *s, bool lent)
{
    s->paused = false;
    if (s->ops->lend)
        s->ops->lend(s, lent);
}

/* Call it for a kept stream before it is lent: does its next user need the tunnel to
 * itself? If not, other streams may share it. */
static inline void stream_set_alone(struct stream *s, bool alone)
{
    if (s->ops->set_alone)
        s->ops->set_alone(s, alone);
}

/* Should the stream be kept for another use?  Not when its tunnel opens no more streams,
 * or the next user does better with another tunnel. */
static inline bool stream_is_reusable(const struct stream *s)
{
    return !s->ops->is_reusable || s->ops->is_reusable(s);
}

/* May a kept stream be lent now?  Not while another stream has the tunnel for itself;
 * nor, with `alone`, while the tunnel is shared. */
static inline bool stream_is_free(const struct stream *s, bool alone)
{
    return !s->ops->is_free || s->ops->is_free(s, alone);
}

/* The lowest stream of a stack: the socket's, where there is one. */
static inline const struct stream *stream_bottom(const struct stream *s)
{
    while (s->ops->below)
        s = s->ops->below(s);
    return s;
}

/* Bytes that are not with the kernel yet, in this stream and in those that it stands on. */
static inline size_t stream_unsent(const struct stream *s)
{
    size_t n = s->out.len;

    while (s->ops->below) {
        s = s->ops->below(s);
        n += s->out.len;
    }
    return n;
}

/* For implementations: fill in the common part, and finish it. */
void stream_init(struct stream *s, const struct stream_ops *ops, struct chunk_pool *pool,
                 size_t in_limit, size_t out_limit);
void stream_finish(struct stream *s);
/* Sets `stuck`, and wakes the user if it has changed. */
void stream_set_stuck(struct stream *s, bool stuck);
/* Records the end and wakes the user.  The first verdict is kept; V_CLEAN ends `in` only,
 * any other breaks the stream, also after V_CLEAN (all bytes were received, but none can
 * be sent any more). */
void stream_end(struct stream *s, enum verdict verdict, const char *why);

/* Two streams joined in memory, for tests and for requests of our own: bytes put into a->out
 * arrive in b->in. */
struct stream_pair {
    struct stream *a, *b;
};
struct stream_pair mem_stream_pair(struct sched *sched, struct chunk_pool *pool,
                                   size_t limit);
