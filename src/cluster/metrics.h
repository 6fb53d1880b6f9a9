/* cluster/metrics.h - samples of the clusters' states, made when they are printed
 *
 * Tunnels by state and transport, requests that wait for an endpoint, whether the services
 * are known, when the credentials expire; and the version of the program.
 */
#pragma once

#include "base/metrics.h"
#include "cluster/clusters.h"

/* A printer (base/metrics.h); owner: the struct clusters. */
void cluster_metrics_print(void *owner, FILE *out);
