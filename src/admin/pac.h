/* admin/pac.h - the proxy auto-configuration file (/proxy.pac)
 *
 * Private to admin/.
 */
#pragma once

#include "cluster/clusters.h"

#define PAC_TYPE "application/x-ns-proxy-autoconfig"

/* A script that routes full names of services, pods and deployments to the proxy
 * `authority` ("localhost:8080") and all others DIRECT.  An authority that is no loopback
 * name or IP address with a port is replaced by "localhost".  Owned by the caller. */
char *pac_text(const struct clusters *clusters, const char *zone, struct str authority);
