/* cluster/settings.h - how clusters are built */
#pragma once

#include "catalog/catalog.h"
#include "catalog/zone.h"
#include "direct/direct.h"
#include "tunnel/tunnels.h"
#include "upstream/upstream.h"

/* How pods are reached.  AUTO: by their addresses, and through tunnels where that fails, in the
 * cluster that kube-tunnel runs in (by its service account).  Another cluster's pods may have
 * the addresses of pods of this one, so AUTO is TUNNEL for all that a kubeconfig names. */
enum cluster_way { CLUSTER_WAY_AUTO, CLUSTER_WAY_TUNNEL, CLUSTER_WAY_DIRECT };

/* How clusters are built; the same for all of them. */
struct cluster_settings {
    struct catalog_settings catalog; /* home_ns is each target's own */
    struct api_limits limits;
    enum cluster_way way;
    struct tunnel_settings tunnels;
    struct direct_settings direct; /* api_server is each target's own */
    struct upstream_settings upstream;
    struct exec_plugins *plugins; /* shared by all clusters */
    bool find_zone;               /* the domain is not a setting: look for it */
    /* The look is over; zone NULL: it was not found.  */
    void (*on_zone)(void *owner, uint16_t number, const char *zone);
    void *zone_owner;
};
