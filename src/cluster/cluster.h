/* cluster/cluster.h - the objects for one API server and one user of it
 *
 * Made from one kubeconfig context: its target and credentials (api), its services (catalog),
 * the connectors to its pods (tunnels, direct) and the leases (upstream).  Several clusters
 * share only the loop: neither libcurl's connections nor credentials.
 *
 * A cluster is reference-counted: each lease holds a reference, and so does the table
 * (cluster/clusters.h).  One that the table has replaced is retired: it does not watch, its
 * idle connections and tunnels close, and those in use end with their leases.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct api;
struct catalog;
struct cluster_settings;
struct direct;
struct kube_target;
struct loop;
struct pod_addresses;
struct task;
struct transfers;
struct tunnels;
struct upstream;
struct zone_finder;

struct cluster {
    unsigned refs;   /* private */
    uint16_t number; /* of base/partition.h, for logs and metrics */
    char *name;      /* of the context, for people */

    struct transfers *transfers;
    struct api *api;
    struct catalog *catalog;
    struct tunnels *tunnels;
    struct pod_addresses *addresses; /* NULL: pods are reached through tunnels only */
    struct direct *direct;           /* with it */
    struct upstream *upstream;
    struct zone_finder *zone; /* or NULL */
    void (*on_zone)(void *owner, uint16_t number, const char *zone);
    void *zone_owner;

    bool retired;
    struct list_node node; /* the table's, while it is retired */
    struct task *ended;    /* private: of its retirer */
};

/* One with one reference, which begins to watch at once.  The target is taken over, also on
 * failure: ERR_CONFIG and others, where its certificates cannot be read. */
MUST_CHECK enum err cluster_create(struct loop *loop,
                                   const struct cluster_settings *settings,
                                   uint16_t number, struct kube_target *target,
                                   struct cluster **ret, struct diag *why);

static inline struct cluster *cluster_ref(struct cluster *c)
{
    c->refs++;
    return c;
}

/* Dropping the last reference wakes the `ended` task of a retired cluster.  NULL accepted. */
void cluster_unref(struct cluster *c);

/* No new leases from now on: close what is idle, and stop watching.  *ended wakes when
 * cluster_ended may have become true. */
void cluster_retire(struct cluster *c, struct task *ended);
/* No lease and no tunnel is left of a retired one. */
bool cluster_ended(const struct cluster *c);

/* Changes the limits and times of `settings`; the rest stays as it was at the creation. */
void cluster_configure(struct cluster *c, const struct cluster_settings *settings);
/* Only when every lease was returned. */
void cluster_destroy(struct cluster *c); /* NULL accepted */
