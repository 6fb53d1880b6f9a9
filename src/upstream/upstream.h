/* upstream/upstream.h - the owner of idle connections and pending leases */
#pragma once

#include "catalog/catalog.h"
#include "connect/connector.h"
#include "upstream/lease.h"
#include "upstream/settings.h"

struct upstream *upstream_create(struct loop *loop, struct catalog *catalog,
                                 const struct upstream_connectors *connectors,
                                 const struct upstream_settings *settings);
/* The domain that the cluster has besides settings.zone. */
void upstream_set_zone(struct upstream *u, const char *found);
/* Idle connections close at once, and leases that wait fail with ERR_CANCELLED; *done wakes
 * when no lease is left. */
void upstream_drain(struct upstream *u, struct task *done);
void upstream_trim(struct upstream *u); /* free what is kept for the next lease */
bool upstream_free_descriptor(struct upstream *u); /* see pool_free_descriptor */
bool upstream_idle(const struct upstream *u);      /* no lease is out */
void upstream_destroy(struct upstream *u);         /* every lease was returned */
