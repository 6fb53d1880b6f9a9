/* tunnel/pair.h - the two SPDY streams of one forwarded connection, as one stream
 *
 * Private to tunnel/.  The data stream carries the bytes; only the error stream shows how
 * the connection ended (facts: cri-streaming portforward/httpstream.go):
 *
 *     error stream           data stream     verdict
 *     FIN without text       FIN             V_CLEAN
 *     text                   any             V_REFUSED, V_TARGET_GONE, V_RESET: by the text
 *     RST                    any             V_RESET
 *     nothing for 2 s        FIN             V_RESET
 *
 * A pair belongs to its user (the stream) and to its owner (a mux), whichever lasts longer;
 * what concerns the tunnel it reports to the owner.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"
#include "net/stream.h"

#define PAIR_IN_LIMIT (4 * CHUNK_ROOM)
#define PAIR_OUT_LIMIT (4 * CHUNK_ROOM)
#define PAIR_TEXT_MAX 640
#define PAIR_DROPPED_MAX (64 * 1024)  /* on an own tunnel, of a pair that was closed */
#define PAIR_LARGE_BYTES (256 * 1024) /* of one request, or one connection */

struct pair;
struct pair_owner;
struct spdy_pair;

/* What a pair reports to its owner, and queries.  `settled` and `aborted` may destroy it. */
struct pair_owner_ops {
    void (*lent)(struct pair_owner *, struct pair *);    /* p->lent has changed */
    void (*large)(struct pair_owner *);                  /* it has become large */
    void (*settled)(struct pair_owner *, struct pair *); /* its verdict is known */
    void (*aborted)(struct pair_owner *, struct pair *); /* its user has given it up */
    void (*returned)(struct pair_owner *);               /* its user keeps it, unused */
    /* No other user would suffer if the tunnel were closed with this pair. */
    bool (*may_abort)(const struct pair_owner *, const struct pair *);
    bool (*is_reading)(const struct pair_owner *); /* bytes that came are looked at */
    bool (*is_reusable)(const struct pair_owner *);
    bool (*is_free)(const struct pair_owner *, bool alone);
};

struct pair_owner {
    const struct pair_owner_ops *ops;
    struct task *read, *flush; /* borrowed: to be woken when there is something to do */
};

struct pair {
    struct stream stream;
    struct pair_owner *owner; /* NULL: the tunnel is closed */
    struct list_node in_owner;
    uint32_t error_id, data_id;
    uint16_t port;

    /* Its use. */
    bool alone;          /* its user wants a tunnel to itself */
    bool lent;           /* in use, and not only kept in a pool; pair_set_lent sets it */
    bool closed;         /* by its user: only the verdict is awaited */
    bool proves;         /* the first one to its port: not joined before it is answered */
    bool answered;       /* a byte of the answer came */
    bool without_credit; /* alone on a shared tunnel, it sent more than credit allows */
    uint64_t moved;      /* bytes since it was lent, both ways */
    uint32_t unanswered; /* data frames sent since the pod last sent a byte */
    uint32_t allowance;  /* bytes that it may still send in this turn: flush.c */
    size_t dropped;      /* bytes that came after it was closed */

    /* Its end. */
    bool data_done, error_done; /* FIN or RST came on this stream */
    bool reset;                 /* RST on either */
    bool fin_sent;
    bool
        closing; /* closed, and its FIN is queued: nothing of it uses the tunnel any more */
    size_t text_len;
    char text[PAIR_TEXT_MAX]; /* of the error stream, cut */
    struct timer verdict_due;

    /* What is kept for its user on a shared tunnel. */
    size_t *kept_in_all; /* of all such pairs; NULL: the tunnel is not shared */
    size_t counted;      /* our part of it */
    uint64_t taken;      /* bytes its user took so far */
    uint64_t
        taken_mark; /* ... at `marked_at`, to distinguish a slow user from a fast one */
    uint64_t marked_at;
};

/* kept_in_all: see above. */
struct pair *pair_create(struct pair_owner *owner, const struct spdy_pair *ids,
                         struct chunk_pool *pool, size_t *kept_in_all);
void pair_destroy(struct pair *p);
/* In use, or only kept, or closed. */
void pair_set_lent(struct pair *p, bool lent);
/* Bytes went one way or the other. */
void pair_on_moved(struct pair *p, size_t n);
/* Bytes came into it, or its user took some. */
void pair_account(struct pair *p);

/* What came from the wire.  A closing pair may be gone with it. */
void pair_on_reply(struct pair *p);
void pair_on_text(struct pair *p, const uint8_t *bytes, size_t n);
void pair_on_fin(struct pair *p, uint32_t stream_id);
void pair_on_reset(struct pair *p, uint32_t stream_id);
/* Its tunnel is closed; it stays its user's, or is destroyed when that has closed it. */
void pair_on_tunnel_lost(struct pair *p, const char *why);

/* End it, alone: what still comes for it is dropped. */
void pair_fail(struct pair *p, const char *why);

/* So much was sent without an answer that, if the container has ended before, the queue of
 * its worker (50 frames) may be full, and with it the whole connection blocked. */
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

/* What may still be sent for it. */
bool pair_may_send(const struct pair *p);
bool pair_owes_fin(const struct pair *p);

/* Was its error text that the pod's sandbox does not exist any more? */
bool pair_target_is_gone(const struct pair *p);
/* The verdict that a text of the error stream stands for. */
enum verdict pair_classify(struct str text);
/* The part of it that a person needs: without the sandbox id and the namespace's path. */
struct str pair_reason(struct str text);
