/* tunnel/pod.h - the tunnels to one pod, and all pods: private to tunnel/
 */
#pragma once

#include "base/map.h"
#include "tunnel/node.h"
#include "tunnel/ports.h"
#include "tunnel/shortage.h"
#include "tunnel/tunnel.h"

struct pod_removal;

/* The tunnels to one pod, and those who wait for one. */
/* Dials in a row that failed, as the log has them: a warning for each new reason, and one
 * line with their number when the row has ended. */
struct dial_failures {
    uint64_t first, last; /* sched ms; meaningless while there are none */
    uint32_t count;       /* dials */
    uint64_t reason;      /* hash of the last warning's */
};

struct pod {
    struct tunnels *owner;
    char *uid, *ns, *name;
    char *key;                  /* as an endpoint's */
    struct node *node;          /* a reference */
    struct list_node lacking;   /* in the node's list of this name, or in none */
    struct list_node ahead;     /* the same */
    struct list_node full;      /* in shortage's list of this name, or in none */
    char *label;                /* "ns/name", for the log */
    bool gone;                  /* deleted or replaced */
    struct list_node tunnels;   /* the one used last comes first */
    struct list_node with_room; /* of these, the ones with a free worker; same order */
    uint64_t given;             /* pairs so far */
    struct list_node waiting;   /* struct opening, oldest first */
    uint32_t waiters;           /* how many */
    uint32_t waiting_alone;     /* of these, the ones that want a tunnel to themselves */
    uint32_t dialling;          /* tunnels not open yet */
    uint32_t coming;            /* connections that those will be able to carry */
    uint32_t count;             /* tunnels */
    uint32_t own;               /* of these, the ones that carry one connection each */
    uint32_t coming_own;        /* ... and are not open yet */
    uint32_t open;              /* connections that the open, good ones can carry */
    uint32_t lent;              /* connections in use */
    uint32_t lent_alone; /* of these, the ones that wanted a tunnel to themselves */
    uint32_t small_run;  /* exchanges in a row that were small */
    struct ports ports;
    bool prewarms; /* wants some beside the one it has */
    struct demand demand;
    uint32_t failures; /* dials in a row */
    struct dial_failures failing;
    uint64_t opened_at;   /* sched ms: a tunnel to it opened the last time; 0: none did */
    bool lost;            /* a tunnel ended by itself, and none has opened since */
    uint64_t ahead_after; /* sched ms: nothing is dialled ahead before */
    uint64_t not_before;  /* sched ms: nor for anybody */
    uint64_t asked_until; /* sched ms: the same, by a Retry-After: no success ends it */
    struct api_error last_error;
    struct pod_removal *removal; /* while it is said to be gone and has tunnels left */
};

struct tunnels {
    struct connector connector;
    struct tunnel_origin origin;
    struct tls_context *tls; /* see tunnel_origin */
    struct tunnel_settings settings;
    struct transport_memory transports;
    size_t kept_for_slow;
    struct sched *sched;
    struct map pods;          /* by key */
    struct map nodes;         /* by name; struct node */
    struct list_node blocked; /* nodes whose pods lack prewarmed tunnels */
    struct shortage shortage;
    uint32_t dialling;
    uint64_t last_id;
    uint32_t failures;   /* dials in a row that the API server did not answer */
    uint64_t not_before; /* sched ms: nobody dials until then */
    struct api_error last_error;
    struct timer check;
    bool draining;
    struct task *drained;
    size_t live; /* tunnels, dialling ones too */
};

/* All pods; each may go while it is looked at. */
void tunnels_each_pod(struct tunnels *ts, void (*visit)(struct pod *p, uint64_t idle_ms),
                      uint64_t idle_ms);
void tunnels_count(struct tunnels *ts, int change);
/* May there be more tunnels that carry one connection each, for an opening that wants to
 * be alone, or does not? */
bool pod_may_own_more(const struct pod *p, bool alone);

/* tunnels.c is told, of a new tunnel dialling.c: */
void pod_on_tunnel_open(struct pod *p, struct tunnel *t);
void pod_on_tunnel_change(struct pod *p);                    /* perhaps available again */
void pod_on_tunnel_retired(struct pod *p, struct tunnel *t); /* it was open */
void pod_fail_waiting(struct pod *p, const struct api_error *error);
void pod_on_sandbox_gone(struct pod *p); /* the runtime says so: warm ones are useless */
/* A connection got its first byte. */
void pod_on_answer(struct pod *p, uint16_t port);
/* A connection is in use, or not any more. */
void pod_on_lent(struct pod *p, bool lent, bool alone);
void pod_close_tunnels(struct pod *p, enum err e,
                       const char *why); /* p may go with them */
void pod_on_tunnel_closed(struct pod *p, struct tunnel *t);
