/* tunnel/mux_state.h - the parts of a mux, and what its owner is to it
 *
 * Private to tunnel/: shared by mux.c, receive.c and flush.c.
 */
#pragma once

#include "base/log.h"
#include "tunnel/frame_reader.h"
#include "tunnel/liveness.h"
#include "tunnel/pair.h"
#include "tunnel/pings.h"
#include "tunnel/probe.h"
#include "tunnel/share.h"
#include "tunnel/usage.h"
#include "tunnel/worker_slots.h"

struct mux_owner;

struct mux_owner_ops {
    void (*retired)(struct mux_owner *); /* no further pairs, from now on */
    void (*room_changed)(
        struct mux_owner *);                 /* a worker is free (has_room), or none is */
    void (*target_gone)(struct mux_owner *); /* the runtime has no such pod */
    void (*returned)(struct mux_owner *);    /* a pair is kept unused by its user */
    void (*failed)(struct mux_owner *, enum err e,
                   const char *why);               /* finishes the mux */
    bool (*is_reusable)(const struct mux_owner *); /* are kept pairs worth keeping? */
};

struct mux_owner {
    const struct mux_owner_ops *ops;
    struct task *read; /* runs mux_read and mux_advance */
    struct usage *usage;
    size_t *kept_for_slow; /* bytes that pairs of all shared tunnels keep */
    struct log_id id;      /* for the log, like `pod` */
    const char *pod;
};

struct mux {
    struct mux_owner *owner;
    struct pair_owner pair_owner; /* what its pairs know of it */
    struct chunk_pool *pool;
    struct stream *transport; /* owned: SPDY bytes both ways; NULL until mux_open */
    struct task flush;        /* there may be something to frame (RANK_FLUSH) */
    struct list_node pairs;
    struct list_node
        closing; /* pairs whose user has closed them and whose FIN is queued */
    uint32_t closing_count;
    uint32_t last_id; /* stream ids only rise */
    uint32_t carried; /* pairs so far */
    bool retired;     /* no further pairs; set by mux_retire */
    bool has_room;    /* a worker slot is free */
    bool was_stuck;   /* the transport, at the last flush */
    uint64_t used_at; /* sched ms: a lent pair moved a byte, or was lent or returned */
    struct frame_reader reader;
    struct pings pings;
    struct worker_slots slots;
    struct probe probe;
    struct liveness liveness;
    struct share *share; /* it carries several pairs at once; NULL: one at a time */
};

/* False while bytes wait in the transport for room in a pair, or it is not read for the sake
 * of a slow client. */
static inline bool mux_is_reading(const struct mux *m)
{
    return !m->transport->paused && !frame_is_waiting(&m->reader, &m->transport->in);
}
