/* tunnel/node.h - the dials under way to one node, and the pods that wait for one of them
 *
 * Private to tunnel/.  Each dial costs its node a millisecond of CPU, so the number of dials
 * under way is limited per node.  The name of the node comes from an EndpointSlice, which
 * another user may have written.  So each namespace has its own limits, and the names of nodes
 * are hashed to NODE_BUCKETS of them (decision 069).
 * A pod that lacks a dial because of the limit is queued here, and the end of a dial serves
 * only these queues.  A node is freed with the last of its pods.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

struct node {
    struct map *all;             /* the map that holds this node, by its name */
    uint32_t pods;               /* references */
    uint32_t dials;              /* under way */
    struct list_node lacking;    /* struct pod_tunnels whose openings need more dials */
    struct list_node ahead;      /* struct pod_tunnels that lack prewarmed tunnels */
    struct list_node in_blocked; /* in tunnels.blocked, while `ahead` is not empty */
    char name[];                 /* "NAMESPACE/BUCKET" */
};

#define NODE_BUCKETS 32 /* per namespace */

/* node: its name, "" when unknown.  Creates it if need be. */
struct node *node_ref(struct map *all, const char *ns, const char *node);
struct node *node_share(struct node *n);
void node_unref(struct node *n);
