/* daemon/cluster_settings.h - what the settings say about every cluster */
#pragma once

#include "cluster/cluster.h"
#include "config/config.h"

/* All but tunnels.room and upstream.own, which are about this process. */
struct cluster_settings cluster_settings_of(const struct config *c);
