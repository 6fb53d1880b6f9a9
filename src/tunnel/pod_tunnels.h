/* tunnel/pod_tunnels.h - the tunnels to one pod, and what all pods share
 *
 * Private to tunnel/.  State only: pods.c creates it and decides what happens, with
 * waiting.c, placing.c, coalesce.c, dialling.c and shortage.c, each of which has a part.
 */
#pragma once

#include "base/map.h"
#include "connect/connector.h"
#include "tunnel/backoff.h"
#include "tunnel/failure_log.h"
#include "tunnel/node.h"
#include "tunnel/tunnel.h"

struct pod_removal;
struct tunnels;

/* Updated at each change; tests/session/tunnel_rules.c has the invariants. */
struct tunnel_counts {
    uint32_t all;        /* tunnels */
    uint32_t own;        /* of these, the ones that carry one connection each */
    uint32_t dialling;   /* tunnels that are not open yet */
    uint32_t coming;     /* connections that those will be able to carry */
    uint32_t coming_own; /* of those, the ones that carry one connection each */
    uint32_t open;       /* connections that the open, good ones can carry */
};

struct pod_tunnels {
    struct tunnel_owner tunnel_owner; /* what its tunnels know of it */
    struct tunnels *owner;
    char *uid, *ns, *name, *label; /* label: "ns/name", for the log */
    char *key;                     /* as an endpoint's */
    struct node *node;             /* a reference */
    struct list_node lacking;      /* in the node's list of this name, or in none */
    struct list_node ahead;        /* the same */
    struct list_node full;         /* in shortage's list of this name, or in none */
    struct list_node tunnels;      /* the one used last comes first */
    struct list_node with_room;    /* of these, those with a free worker; same order */
    struct list_node waiting;      /* struct opening, oldest first */
    struct tunnel_counts counts;
    struct usage usage;
    uint64_t given;       /* pairs so far */
    bool gone;            /* the pod was deleted or replaced */
    bool prewarms;        /* keeps some tunnels beside the one it has */
    bool lost;            /* a tunnel ended by itself, and none has opened since */
    uint64_t opened_at;   /* sched ms: a tunnel opened the last time; 0: none did */
    uint64_t ahead_after; /* sched ms: nothing is dialled ahead before */
    struct backoff backoff;
    struct failure_log failures;
    struct pod_removal
        *removal; /* while it is gone for the catalog, and has tunnels left */
};

/* Openings that wait because a limit is reached: shortage.c. */
struct shortage {
    struct task task;
    struct timer again;    /* runs while `full` was checked a moment ago */
    struct list_node full; /* pods with as many tunnels as may be */
    uint32_t descriptors;  /* missing for dials, and not yet requested from serve/ */
};

struct tunnels {
    struct connector connector;
    struct tunnel_origin origin;
    struct tunnel_settings settings;
    struct sched *sched;
    struct map pods;          /* by key; struct pod_tunnels */
    struct map nodes;         /* by name; struct node */
    struct list_node blocked; /* nodes whose pods lack prewarmed tunnels */
    struct shortage shortage;
    struct backoff backoff; /* of the API server */
    uint32_t dialling;
    uint64_t last_id;
    struct timer check;
    bool draining;
    struct task *drained;
    size_t live; /* tunnels, dialling ones too */
};
