/* tunnel/mux_state.h - the parts of a mux, and its interface to its owner
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
    void (*retired)(struct mux_owner *);      /* it gets no further pairs */
    void (*room_changed)(struct mux_owner *); /* m->has_room has changed */
    void (*target_gone)(
        struct mux_owner *);              /* the runtime reported that the pod is gone */
    void (*returned)(struct mux_owner *); /* a pair became idle in upstream's pool */
    /* The tunnel has failed; the owner calls mux_close. */
    void (*failed)(struct mux_owner *, enum err e, const char *why);
    bool (*is_reusable)(const struct mux_owner *); /* may upstream/ keep idle pairs? */
};

struct mux_owner {
    const struct mux_owner_ops *ops;
    struct task *read; /* runs mux_read and mux_advance */
    struct usage *usage;
    size_t *kept_for_slow; /* bytes buffered for slow clients on all shared tunnels */
    struct log_id id;      /* for the log, like `pod` */
    const char *pod;
};

struct mux {
    struct mux_owner *owner;
    struct pair_owner pair_owner; /* its interface for the pairs */
    struct chunk_pool *pool;
    struct stream *transport; /* owned: carries SPDY frames; NULL until mux_open */
    struct task flush;        /* woken when there may be bytes to frame (RANK_FLUSH) */
    struct list_node pairs;
    struct list_node
        closing; /* pairs whose user has closed them and whose FIN is queued */
    uint32_t closing_count;
    uint32_t last_id; /* the highest stream id used so far */
    uint32_t carried; /* how many pairs it has carried so far */
    bool retired;     /* no further pairs; set by mux_retire */
    bool has_room;    /* a worker slot is free */
    bool was_stuck;   /* the transport was stuck at the last flush */
    uint64_t used_at; /* sched ms: a lent pair moved a byte, or was lent or returned */
    struct frame_reader reader;
    struct pings pings;
    struct worker_slots slots;
    struct probe probe;
    struct liveness liveness;
    struct share *share; /* of a shared tunnel; NULL: an own tunnel */
};

/* False while received bytes wait for room in a pair, or the transport is paused because of a
 * slow client. */
static inline bool mux_is_reading(const struct mux *m)
{
    return !m->transport->paused && !frame_is_waiting(&m->reader, &m->transport->in);
}
