/* upstream/upstream.h - the owner of idle connections and pending leases */
#pragma once

#include "catalog/catalog.h"
#include "catalog/own_pod.h"
#include "connect/connector.h"
#include "upstream/lease.h"

/* Where this process listens; borrowed, outlives the upstream. */
struct own_listeners {
    /* Is this port of this address one of them?  NULL: not known. */
    bool (*has)(void *owner, const char *ip, uint16_t port);
    void *owner;
};

/* What opens connections; borrowed, outlives the upstream.  Both: auto, see
 * upstream/connectors.h.  One of them: that one always. */
struct upstream_connectors {
    struct connector *tunnel, *direct;
};

struct upstream_settings {
    uint64_t idle_ms;    /* an idle connection to a pod is closed after this */
    bool prepare_second; /* have a tunnel to a second endpoint of a service in use */
    uint64_t attempt_ms; /* look-up and dial may take this long where there is no wait */
    uint64_t silence_ms; /* a pod whose packets stay away this long is lost; 0: ever */
    uint16_t cluster;    /* its number, for logs and metrics */
    const char *zone;    /* the cluster's domain, borrowed */
    bool (*opens)(void *owner, struct str ns); /* NULL: every namespace */
    void *opens_owner;
    struct own_pod own; /* requests for its services are answered by our own pages */
    struct own_listeners listeners; /* an endpoint that is one of them is a loop */
};

struct upstream *upstream_create(struct loop *loop, struct catalog *catalog,
                                 const struct upstream_connectors *connectors,
                                 const struct upstream_settings *settings);
/* The domain that the cluster has besides settings.zone. */
void upstream_set_zone(struct upstream *u, const char *found);
/* Idle connections close at once, and leases that wait fail with ERR_CANCELLED; *done wakes
 * when no lease is left. */
void upstream_drain(struct upstream *u, struct task *done);
void upstream_trim(struct upstream *u);       /* free what is kept for the next lease */
bool upstream_idle(const struct upstream *u); /* no lease is out */
void upstream_destroy(struct upstream *u);    /* every lease was returned */
