/* serve/routed_lease.c - a lease from the cluster that its route names */
#include "serve/routed_lease.h"

#include "base/own.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "serve/policy.h"
#include "serve/serve_state.h"

/* Requests for a closed namespace are refused with a page before this: here every kind of
 * connection passes. */
static enum err find_cluster(const struct serve *s, const struct want *want,
                             struct lease *lease)
{
    struct str ns = want->route->name.ns;
    bool known = want->route->name.kind != NAME_ADDRESS; /* else upstream/ checks it */

    if (known && !policy_opens(s->config, ns))
        return diag_set(&lease->why, ERR_CLOSED, "namespace %.*s is closed", STR_ARG(ns));
    return clusters_find(s->clusters, want->route->name.cluster, &lease->cluster,
                         &lease->why);
}

void routed_lease(struct serve *s, struct want *want, struct lease *lease,
                  struct task *wake)
{
    enum err e = find_cluster(s, want, lease);

    if (e) {
        lease->result = e;
        task_wake(wake);
        return;
    }
    want->id.cluster = lease->cluster->number;
    upstream_lease(lease->cluster->upstream, want, lease, wake);
}

bool routed_lease_was_replaced(const struct lease *lease)
{
    return lease->result == ERR_CANCELLED && lease->cluster && lease->cluster->retired;
}

void routed_lease_return(struct lease *lease, enum release_mode release)
{
    struct cluster *cluster = TAKE(lease->cluster);

    upstream_return(lease, release);
    cluster_unref(cluster);
}
