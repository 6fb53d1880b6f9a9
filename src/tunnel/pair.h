/* tunnel/pair.h - the two SPDY streams of one forwarded connection, as one stream
 *
 * Private to tunnel/.  The data stream carries the bytes; only the error stream shows how
 * the connection ended (see the runtime's portforward/httpstream.go):
 *
 *     error stream           data stream     verdict
 *     FIN without text       FIN             V_CLEAN
 *     text                   any             V_REFUSED, V_TARGET_GONE, V_RESET: by the text
 *     RST                    any             V_RESET
 *     nothing for 2 s        FIN             V_RESET
 *
 * A pair is freed when both its user (which has the stream) and its owner (a mux) have released
 * it.  It reports events that concern the tunnel to the owner.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"
#include "net/stream.h"

#define PAIR_IN_LIMIT (4 * CHUNK_ROOM)
#define PAIR_OUT_LIMIT (4 * CHUNK_ROOM)
#define PAIR_TEXT_MAX 640
#define PAIR_DROPPED_MAX                                                                 \
    (64 * 1024) /* received after closing; more retires an own tunnel */
#define PAIR_LARGE_BYTES (256 * 1024) /* a pair that carries this much is large */

struct pair;
struct pair_owner;
struct spdy_pair;

/* What a pair reports to its owner, and queries.  `settled` and `aborted` may destroy it. */
struct pair_owner_ops {
    void (*lent)(struct pair_owner *, struct pair *);    /* p->lent has changed */
    void (*large)(struct pair_owner *);                  /* it has become large */
    void (*settled)(struct pair_owner *, struct pair *); /* its verdict is known */
    void (*aborted)(struct pair_owner *, struct pair *); /* stream_abort was called */
    void (*returned)(struct pair_owner *);               /* it became idle in the pool */
    /* No other pair is open, so the tunnel may be closed to abort this one. */
    bool (*may_abort)(const struct pair_owner *, const struct pair *);
    bool (*is_reading)(const struct pair_owner *);  /* received frames are handled */
    bool (*is_reusable)(const struct pair_owner *); /* the pool may keep it */
    bool (*is_free)(const struct pair_owner *, bool alone); /* a user may get it, without
                                                               other users if `alone` */
};

struct pair_owner {
    const struct pair_owner_ops *ops;
    struct task *read, *flush; /* borrowed: wake them when there may be bytes to move */
};

struct pair {
    struct stream stream;
    struct pair_owner *owner; /* NULL: the tunnel is closed */
    struct list_node in_owner;
    uint32_t error_id, data_id;
    uint16_t port;

    /* Its use. */
    bool alone;          /* its user needs an own tunnel */
    bool lent;           /* in use, not idle in a pool; set by pair_set_lent */
    bool closed;         /* by its user: only the verdict is awaited */
    bool proves;         /* the first pair to its port: no other joins until `answered` */
    bool answered;       /* the pod has sent a byte on it */
    bool without_credit; /* the only pair in use on a shared tunnel: it sent more than
                            credit allows */
    bool overran; /* since it was lent, its worker's queue may have been full: a byte from
                     the pod afterwards proves nothing, but a PING does */
    uint64_t moved;      /* bytes since it was lent, in both directions */
    uint32_t unanswered; /* data frames sent since the pod last sent a byte */
    uint32_t allowance;  /* bytes that it may still send in this turn: flush.c */
    size_t dropped;      /* bytes received after it was closed */

    /* Its end. */
    bool data_done, error_done; /* FIN or RST was received on this stream */
    bool reset;                 /* RST on either */
    bool fin_sent;
    bool closing; /* closed, and its FIN is queued: it sends no further frames */
    size_t text_len;
    char text[PAIR_TEXT_MAX]; /* received on the error stream, truncated */
    struct timer verdict_due;

    /* Bytes buffered for its user on a shared tunnel. */
    size_t *kept_in_all; /* the sum over all pairs of shared tunnels; NULL: not shared */
    size_t counted;      /* this pair's part of the sum */
    uint64_t taken;      /* bytes its user took so far */
    uint64_t taken_mark; /* ... until `marked_at`, to measure how fast its user reads */
    uint64_t marked_at;
};

/* kept_in_all: see struct pair. */
struct pair *pair_create(struct pair_owner *owner, const struct spdy_pair *ids,
                         struct chunk_pool *pool, size_t *kept_in_all);
void pair_destroy(struct pair *p);
/* lent: it is in use; else it is idle in a pool, or closed. */
void pair_set_lent(struct pair *p, bool lent);
/* n bytes were moved, in either direction. */
void pair_on_moved(struct pair *p, size_t n);
/* Update `counted` and `taken` after `in` has changed. */
void pair_account(struct pair *p);

/* Received frames for this pair.  They may destroy a closing pair. */
void pair_on_reply(struct pair *p);
void pair_on_text(struct pair *p, const uint8_t *bytes, size_t n);
void pair_on_fin(struct pair *p, uint32_t stream_id);
void pair_on_reset(struct pair *p, uint32_t stream_id);
/* Its tunnel is closed.  The pair stays with its user, or is destroyed if that has closed it. */
void pair_on_tunnel_lost(struct pair *p, const char *why);

/* End this pair only, with V_RESET; bytes received for it later are dropped. */
void pair_fail(struct pair *p, const char *why);

/* A data frame for it was queued. */
void pair_on_frame(struct pair *p);
/* The tunnel may carry nothing for it any more: end this idle pair, so that it is not lent. */
void pair_give_up_idle(struct pair *p);

/* More frames were sent since the pod's last byte than fit into the queue of its worker (50).
 * If the container does not read any more, that queue is full and blocks the whole tunnel. */
bool pair_worker_queue_may_be_full(const struct pair *p);

static inline bool pair_is_large(const struct pair *p)
{
    return p->moved >= PAIR_LARGE_BYTES;
}
static inline bool pair_is_open(const struct pair *p)
{
    return p->stream.end.verdict == V_OPEN;
}
/* Lent, and not ended. */
static inline bool pair_is_used(const struct pair *p)
{
    return p->lent && pair_is_open(p);
}

/* May data still be sent for it?  Must its FIN be sent now? */
bool pair_may_send(const struct pair *p);
bool pair_needs_fin(const struct pair *p);

/* Does its error text report that the pod's sandbox does not exist any more? */
bool pair_target_is_gone(const struct pair *p);
/* The verdict for a text of the error stream. */
enum verdict pair_classify(struct str text);
/* The part of such a text that is shown to users: without the sandbox id and the path of the
 * network namespace. */
struct str pair_reason(struct str text);
