/* tunnel/tunnel.h - one tunnel to a pod, from its dial to its end
 *
 * Private to tunnel/ (tunnel.c has the theory of operation).
 */
#pragma once

#include "tunnel/dial.h"
#include "tunnel/mux.h"

struct tunnel;
struct tunnel_owner;

enum tunnel_state { TUNNEL_DIALLING, TUNNEL_OPEN, TUNNEL_CLOSED };

/* What a tunnel reports to its owner, and queries. */
struct tunnel_owner_ops {
    void (*opened)(struct tunnel_owner *, struct tunnel *);
    void (*changed)(struct tunnel_owner *);                  /* it may have room again */
    void (*retired)(struct tunnel_owner *, struct tunnel *); /* an open one was retired */
    void (*closed)(struct tunnel_owner *, struct tunnel *);  /* the owner destroys it */
    /* The others: see mux_owner_ops. */
    void (*room_changed)(struct tunnel_owner *, struct tunnel *);
    void (*target_gone)(struct tunnel_owner *);
    void (*returned)(struct tunnel_owner *, struct tunnel *);
    bool (*is_reusable)(const struct tunnel_owner *, const struct tunnel *);
};

struct tunnel_owner {
    const struct tunnel_owner_ops *ops;
    struct tunnel_target target;
    struct usage *usage;
};

struct tunnel {
    struct tunnel_owner *owner; /* borrowed: it outlives its tunnels */
    struct list_node in_pod;    /* in pod_tunnels.tunnels */
    struct list_node in_room;   /* in pod_tunnels.with_room, or in no list */
    uint64_t given; /* pod_tunnels.given when this tunnel last got a pair; 0: never */

    struct tunnel_origin *origin;
    struct log_id id;
    enum tunnel_state state;
    struct task step; /* woken by the dial, then by the transport (RANK_READ) */
    struct dial dial;
    struct mux_owner mux_owner; /* its interface for the mux */
    struct mux mux;
    uint64_t opened_at;     /* sched ms; 0: never */
    struct api_error error; /* CLOSED: the reason */
};

struct tunnel *tunnel_create(struct tunnel_origin *origin, struct tunnel_owner *owner,
                             struct log_id id, bool shared);
/* Only in state CLOSED; NULL accepted. */
void tunnel_destroy(struct tunnel *t);
/* Close it now: its pairs end with V_TRANSPORT_LOST, and the owner's `closed` is called. */
void tunnel_close(struct tunnel *t, enum err e, const char *why);

/* Is it open and not retired? */
static inline bool tunnel_is_good(const struct tunnel *t)
{
    return t->state == TUNNEL_OPEN && !t->mux.retired;
}
static inline bool tunnel_is_shared(const struct tunnel *t)
{
    return t->mux.share != NULL;
}
