/* tunnel/pod_tunnels.h - the state of the tunnels to one pod, and the state of all of them
 *
 * Private to tunnel/.  pods.c creates the state; waiting.c, placing.c, coalesce.c, dialling.c
 * and shortage.c work on it, too.
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
    uint32_t own;        /* own tunnels */
    uint32_t dialling;   /* tunnels that are not open yet */
    uint32_t coming;     /* how many pairs the tunnels being dialled will carry */
    uint32_t coming_own; /* own tunnels being dialled */
    uint32_t open; /* how many pairs the open tunnels, without retired ones, carry */
};

struct pod_tunnels {
    struct tunnel_owner tunnel_owner; /* its interface for its tunnels */
    struct tunnels *owner;
    char *uid, *ns, *name, *label; /* label: "ns/name", for the log */
    char *key;                     /* see struct endpoint */
    struct node *node;             /* a reference */
    struct list_node lacking;      /* in node->lacking, or in no list */
    struct list_node ahead;        /* in node->ahead, or in no list */
    struct list_node full;         /* in shortage.full, or in no list */
    struct list_node tunnels;      /* struct tunnel, the one used last comes first */
    struct list_node with_room;    /* of these, those with a free worker; same order */
    struct list_node waiting;      /* struct opening, oldest first */
    struct tunnel_counts counts;
    struct usage usage;
    uint64_t given;     /* number of connections opened so far */
    bool gone;          /* the pod was deleted or replaced */
    bool prewarms;      /* it is in use: settings.prewarmed tunnels beside the first */
    bool lost;          /* a tunnel was lost, and none has been opened since */
    uint64_t opened_at; /* sched ms: when a tunnel was opened last; 0: never */
    uint64_t prewarm_after; /* sched ms: no tunnel is prewarmed before this */
    struct backoff backoff;
    struct failure_log failures;
    /* While no service has the pod any more, and it has tunnels left; else NULL. */
    struct pod_removal *removal;
};

/* Openings that wait because a limit is reached: shortage.c. */
struct shortage {
    struct task task;
    struct timer again;    /* set while `full` is not to be checked again yet */
    struct list_node full; /* struct pod_tunnels with tunnels_max tunnels */
    uint32_t descriptors;  /* dials that failed for lack of one, not handled yet */
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
    size_t live; /* number of tunnels, with those being dialled */
};
