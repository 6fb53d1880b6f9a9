/* net/stream.h - a bounded pipe of bytes with two ends
 *
 *          in  <── bytes from the far end, taken by the user of the stream
 *          out ──> bytes for the far end, put there by the user
 *
 * TCP, TLS over another stream, a forwarded connection in a tunnel and (in tests) a pair
 * in memory all look like this; their users cannot see what is below.  The user
 * works on the two queues and then calls stream_update(); the stream derives from them
 * what it should be reading and writing, and wakes its user when bytes came, room
 * appeared, or the stream ended.  Wake-ups carry no meaning: look at the fields.
 *
 * `stuck` and `paused` are the short way of back-pressure.  The code that carries bytes
 * from one stream to another pauses the first while the second is stuck, and a stream that
 * stands on another hands both words on: then bytes stay with their sender, and not in
 * every queue on the way until each is full.
 *
 * How a stream ended matters as much as its bytes: `end` has it.  in_eof and broken are
 * never set while the verdict is V_OPEN.
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
    V_REFUSED,        /* never delivered: even a POST may be repeated */
    V_RESET,          /* cut: what came may not be all */
    V_TRANSPORT_LOST, /* what it stands on has ended: cut, and not by its far end */
    V_UNPROCESSED,    /* the far end declares that it has not looked at it; it lives on */
    V_TARGET_GONE,    /* the far end does not exist any more; never delivered */
};
/* clang-format on */

struct stream_end {
    enum verdict verdict;
    bool opened; /* the far end acknowledged: for diagnosis only */
    struct diag why;
};

struct stream;

struct stream_ops {
    void (*update)(struct stream *);
    void (*close)(struct stream *);
    void (*abort)(struct stream *);
    bool half_close; /* either direction may end while the other goes on */
    void (*set_patience)(struct stream *, uint64_t ms); /* NULL: it has its own */

    /* For a pool that keeps streams between two uses.  NULL, here and below: the stream
     * shares its path with no other, and any kept one may be used again. */
    void (*lend)(struct stream *, bool lent);
    void (*set_alone)(struct stream *, bool alone);
    bool (*is_reusable)(const struct stream *);
    bool (*is_free)(const struct stream *, bool alone);
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

/* After any change to the queues: read, write and flush as far as possible, this turn. */
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

/* In use from now on, or only kept: one that is kept does not keep its path from expiring. */
static inline void stream_lend(struct stream *s, bool lent)
{
    s->paused = false;
    if (s->ops->lend)
        s->ops->lend(s, lent);
}

/* Of a kept one, before it is lent: does its next user need the path to itself?  Else other
 * streams may join it. */
static inline void stream_set_alone(struct stream *s, bool alone)
{
    if (s->ops->set_alone)
        s->ops->set_alone(s, alone);
}

/* Is it worth keeping?  Not when its path opens no more streams, or the next user does
 * better on another path. */
static inline bool stream_is_reusable(const struct stream *s)
{
    return !s->ops->is_reusable || s->ops->is_reusable(s);
}

/* May a kept one be lent now?  Not while another stream uses its path and does not share
 * it, nor a shared one to a user that needs it alone. */
static inline bool stream_is_free(const struct stream *s, bool alone)
{
    return !s->ops->is_free || s->ops->is_free(s, alone);
}

/* For implementations: fill in the common part, and finish it. */
void stream_init(struct stream *s, const struct stream_ops *ops, struct chunk_pool *pool,
                 size_t in_limit, size_t out_limit);
void stream_finish(struct stream *s);
/* Note that it is stuck, or not any more, and wake the user of a change. */
void stream_set_stuck(struct stream *s, bool stuck);
/* Note the end and wake the user.  The first verdict stands; V_CLEAN ends `in` only, any
 * other breaks the stream, also after V_CLEAN (all came, but nothing can be sent now). */
void stream_end(struct stream *s, enum verdict verdict, const char *why);

/* Two streams joined in memory, for tests: what goes into a->out comes out of b->in. */
struct stream_pair {
    struct stream *a, *b;
};
struct stream_pair mem_stream_pair(struct sched *sched, struct chunk_pool *pool,
                                   size_t limit);
