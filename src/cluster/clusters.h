/* cluster/clusters.h - the clusters of this process
 *
 * The one place that knows how many there are.  Everyone else is handed a cluster, or names
 * one by its label.
 */
#pragma once

#include "cluster/cluster.h"

struct clusters;

/* No cluster yet.  The settings are borrowed and outlive it. */
struct clusters *clusters_create(struct loop *loop,
                                 const struct cluster_settings *settings);
void clusters_destroy(struct clusters *cs); /* NULL accepted; leases were returned */

/* Connect the cluster that plain names belong to; the target is taken over. */
MUST_CHECK enum err clusters_add(struct clusters *cs, struct kube_target *target,
                                 struct diag *why);

/* The cluster of this label, "" for that of plain names; *ret is a reference.
 * ERR_NO_CONTEXT: there is none, and *why says which there are. */
MUST_CHECK enum err clusters_find(struct clusters *cs, struct str label,
                                  struct cluster **ret, struct diag *why);

/* That of plain names; borrowed. */
const struct cluster *clusters_primary(const struct clusters *cs);
/* Is it known?  See catalog_ready. */
bool clusters_ready(const struct clusters *cs, struct api_error *ret_error);

/* To all of them: upstream_unpair, upstream_trim, tunnels_doubt. */
void clusters_unpair(struct clusters *cs, uint64_t pair);
void clusters_trim(struct clusters *cs);
void clusters_doubt(struct clusters *cs, const char *why);

/* Close what is idle, and let the rest end.  *done wakes when clusters_idle may be true. */
void clusters_drain(struct clusters *cs, struct task *done);
bool clusters_idle(const struct clusters *cs); /* no tunnel is left */
