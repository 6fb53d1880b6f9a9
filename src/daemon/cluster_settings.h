/* daemon/cluster_settings.h - the settings that apply to every cluster */
#pragma once

#include "cluster/clusters.h"
#include "config/config.h"
#include "kube/exec_plugin.h"
#include "tunnel/settings.h"

/* Sets all fields but tunnels.room, upstream.own and plugins, which are the same for the
 * whole process, and upstream.tls. */
struct cluster_settings cluster_settings_of(const struct config *c);

/* Those of its tunnels alone. */
struct tunnel_settings tunnel_settings_of(const struct config *c);

/* Which contexts; borrowed from the config.  `offline`: they are listed and not connected. */
struct clusters_choice clusters_choice_of(const struct config *c, bool offline);

/* Sets the limits and times that may change while clusters exist. */
void cluster_settings_update(struct cluster_settings *s, const struct config *c);

struct exec_settings exec_settings_of(const struct config *c);
