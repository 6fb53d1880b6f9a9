/* tunnel/tunnel.h - one tunnel: private to tunnel/ (tunnel.c has the theory of operation)
 */
#pragma once

#include "kube/credentials.h"
#include "net/connecting.h"
#include "net/tls.h"
#include "tunnel/tunnels.h"
#include "tunnel/upgrade.h"
#include "wire/spdy.h"

/* The runtime's frame workers: stream id mod 5 (moby/spdystream, connection.go). */
#define WORKERS 5

struct pair;
struct pod;
struct share;
struct prewarmed_connection;

/* Which transport this API server takes: the other one than the usual, once the usual was
 * refused and that one was not; for a while, since servers are replaced too. */
struct transport_memory {
    enum transport usual, learnt;
    uint64_t learnt_until; /* sched ms; 0: nothing learnt */
};

/* What a dial needs to know; one for all tunnels of an API server, borrowed. */
struct tunnel_origin {
    struct loop *loop;
    struct transfers *transfers;
    struct api *api;
    struct tls_context **tls; /* of the identity at the last dial; *tls NULL: none yet */
    const struct tunnel_settings *settings;
    struct transport_memory *transports;
    struct prewarmed_connection *prewarmed; /* NULL: none */
    size_t *kept_for_slow; /* bytes that pairs of shared tunnels hold for slow clients */
};

enum tunnel_state {
    TUNNEL_ASK,
    TUNNEL_CONNECT,
    TUNNEL_UPGRADE,
    TUNNEL_OPEN,
    TUNNEL_CLOSED
};

enum worker_slot {
    SLOT_FREE,
    SLOT_BUSY,   /* a pair lives there */
    SLOT_SPENT,  /* we have sent all we will; a probe has to say that it was taken */
    SLOT_PROBED, /* ... and the probe under way will */
    SLOT_DEAD,   /* a pair ended otherwise: the worker may be stuck for ever */
};

struct tunnel {
    const struct tunnel_origin *origin;
    struct pod *pod;          /* borrowed: it outlives its tunnels */
    struct list_node in_pod;  /* by the pod's list */
    struct list_node in_room; /* in the pod's list, while a worker is free */
    uint64_t given;           /* the pod's count when it last got a pair; 0: never */
    struct log_id id;
    enum tunnel_state state;
    struct timer deadline; /* of CONNECT and UPGRADE; then of a probe */
    struct task step;      /* wake of the dial; then of the transport (RANK_READ) */
    struct task flush;     /* pairs have bytes to frame (RANK_FLUSH) */

    enum transport kind;
    struct credentials_want want;
    struct credential *credential; /* of the upgrade request */
    bool rejected;     /* the API server did not accept one: the next is the last */
    bool second_try;   /* the other transport was refused */
    bool on_prewarmed; /* dialled on a connection that was made before */
    bool reached;      /* it timed out, and not because of the API server */
    struct api_error refusal; /* ... with this */
    struct connecting connecting;
    struct stream *transport; /* SPDY bytes both ways */
    struct stream *wire;      /* the same, or what its WebSocket stands on */
    struct api_error error;   /* why it closed */

    struct list_node pairs;
    struct list_node left; /* pairs whose user has left and whose FIN is queued */
    uint32_t left_count;
    enum worker_slot slots[WORKERS];
    uint32_t slot_pair[WORKERS]; /* data id of the pair that had each one last */
    uint32_t last_id;            /* stream ids only rise */
    uint32_t carried;            /* pairs opened so far */
    bool retired;                /* no new pairs; closes with its last one */
    struct share *share; /* it carries several at once; NULL: one connection at a time */

    /* The frame being read. */
    uint32_t data_id;
    uint32_t data_left; /* payload bytes of it still to come */
    bool data_fin;

    /* PINGs: odd ids, dealt to the workers in turn. */
    uint32_t next_ping;
    uint32_t probe_first;   /* five in a row from this one; 0: no probe under way */
    unsigned probe_missing; /* bit mask of those unanswered */
    uint32_t unanswered;    /* PINGs, all in all */
    struct timer ping;
    struct timer gather; /* shared: spent slots wait this long for others */

    uint64_t started_at, opened_at;
    uint64_t used_at;  /* last time a lent pair moved a byte or was given back */
    uint64_t heard_at; /* last time anything came; 0: forgotten on purpose */
    bool was_stuck;    /* the transport, at the last flush */
};

struct tunnel *tunnel_create(const struct tunnel_origin *origin, struct pod *pod,
                             struct log_id id, bool shared);
/* Only in state CLOSED; NULL accepted. */
void tunnel_destroy(struct tunnel *t);

/* Can it take one more connection now, and keep it to itself? */
bool tunnel_available(const struct tunnel *t);
/* Can it take one more, beside those it carries? */
bool tunnel_joinable(const struct tunnel *t);
uint32_t tunnel_carries(const struct tunnel *t); /* at once */
/* Room for a pair, whether or not it carries others. */
bool tunnel_takes_pairs(const struct tunnel *t);
/* Open a connection; only on an available or joinable one. */
struct stream *tunnel_connect(struct tunnel *t, const struct opening *o);
bool tunnel_in_use(const struct tunnel *t); /* a pair is lent out */
/* What those said who have left was taken, as far as can be known. */
bool tunnel_has_delivered(const struct tunnel *t);
void tunnel_probe(struct tunnel *t);  /* it has to show that it is alive, soon */
void tunnel_retire(struct tunnel *t); /* no new pairs; may close at once */
/* At once; its pairs end with V_TRANSPORT_LOST, and the pod is told. */
void tunnel_close(struct tunnel *t, enum err e, const char *why);

/* The way to the API server: start to connect; then, connected, the stream (TLS, where it
 * is spoken, may still be shaking hands). */
void transport_connect(const struct tunnel_origin *o, struct connecting *c,
                       struct task *wake);
struct stream *transport_open(const struct tunnel_origin *o, struct connecting *c,
                              struct tls_identity *identity);

/* Another certificate, or other authorities: what was opened with the old ones ends with the
 * connections it carries. */
void tunnels_on_new_identity(const struct tunnel_origin *o);

/* False while bytes wait in the transport for room in a pair, or it is not read for the sake of
 * a slow client. */
bool tunnel_is_reading(const struct tunnel *t);
bool tunnel_is_listening(const struct tunnel *t); /* an answer to a PING would be heard */

/* pair.c and frames.c tell: */
void tunnel_on_pair_left(struct tunnel *t, struct pair *p);
void tunnel_on_pair_gone(struct tunnel *t, const struct pair *p);
void tunnel_used(struct tunnel *t);

/* frames.c: between the transport and the pairs. */
MUST_CHECK enum err frames_read(struct tunnel *t, struct diag *why);
void frames_flush(struct tunnel *t);
bool frames_ping(struct tunnel *t, uint32_t *ret_id);
