/* upstream/upstream.h - the owner of idle connections and pending leases */
#pragma once

#include "catalog/catalog.h"
#include "connect/connector.h"
#include "upstream/lease.h"
#include "upstream/pod_load.h"
#include "upstream/settings.h"

struct upstream *upstream_create(struct loop *loop, struct catalog *catalog,
                                 const struct upstream_connectors *connectors,
                                 const struct upstream_settings *settings);
/* A second domain of the cluster, beside settings.zone, which was found at run time. */
void upstream_set_zone(struct upstream *u, const char *found);
/* Changes the limits and times of `fresh`; the rest stays as it was at the creation. */
void upstream_configure(struct upstream *u, const struct upstream_settings *fresh);
/* Idle connections close at once, and leases that wait fail with ERR_CANCELLED; *done wakes
 * when no lease is left. */
void upstream_drain(struct upstream *u, struct task *done);
/* Of each pod that had requests lately. */
void upstream_each_pod(const struct upstream *u,
                       void (*each)(void *owner, const struct pod_load *), void *owner);
void upstream_trim(struct upstream *u);            /* free unused memory */
bool upstream_free_descriptor(struct upstream *u); /* see pool_free_descriptor */
size_t upstream_waiting(const struct upstream *u); /* leases that are parked */
bool upstream_idle(const struct upstream *u);      /* every lease was returned */
void upstream_destroy(struct upstream *u);         /* only when idle */
