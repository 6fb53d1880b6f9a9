/* tunnel/node.h - the dials under way to one node, and the pods that wait for one of them
 *
 * Private to tunnel/.  Each dial costs its node a millisecond, so there is a limit per node.
 * The name of the node comes from a slice, which another user may have written: so the
 * pods of each namespace have limits of their own, and share at most NODE_BUCKETS of them,
 * whatever names of nodes they claim (decision 069).
 * A pod that lacks a dial because of a limit is queued here; the end of a dial serves these
 * queues only, and never looks at other pods.  A node lives as long as one of its pods.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

struct node {
    struct map *all;             /* by name; holds this one */
    uint32_t pods;               /* references */
    uint32_t dials;              /* under way */
    struct list_node lacking;    /* struct pod: its openings need more dials */
    struct list_node ahead;      /* struct pod: it lacks prewarmed tunnels */
    struct list_node in_blocked; /* of all nodes with pods in `ahead` */
    char name[];                 /* "NAMESPACE/BUCKET" */
};

#define NODE_BUCKETS 32 /* per namespace */

/* node: its name, "" when unknown.  Creates it if need be. */
struct node *node_ref(struct map *all, const char *ns, const char *node);
struct node *node_share(struct node *n);
void node_unref(struct node *n);
