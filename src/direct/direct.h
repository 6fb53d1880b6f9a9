/* direct/direct.h - a connector that connects to the pod's own address
 *
 * For where the pod network is reachable: in a pod of the cluster, as a rule.  A connection
 * costs what TCP costs; there is nothing to multiplex, to prewarm or to keep.  Refusals,
 * resets and half-closed connections are the container's own.
 *
 * Only an address that the API server has in status.podIPs of the endpoint's pod is
 * connected to (catalog/pod_addresses.h), and none that only this machine or this link can
 * reach, nor the API server's (docs/decisions/111-direct-addresses.md).
 */
#pragma once

#include "connect/connector.h"
#include "net/loop.h"
#include "net/own_addresses.h"

struct direct;
struct pod_addresses;

struct direct_settings {
    uint64_t
        connect_ms; /* an opening has failed after this: its pod is read, and connected
                            to, in that time */
    const char *api_server; /* host of the API server; borrowed */
    bool any_address;       /* tests: this machine's addresses, too */
    uint16_t cluster;       /* its number, for logs and metrics */
    uint64_t
        *last_id; /* the last connection's of the process; borrowed; NULL: of these */
};

/* `addresses` is borrowed. */
struct direct *direct_create(struct loop *loop, struct pod_addresses *addresses,
                             const struct direct_settings *settings);
void direct_destroy(struct direct *d); /* nothing is being opened; NULL accepted */

/* Errors of its openings:
 *   ERR_CONNECT      the pod's address did not answer in time, or cannot be reached
 *   ERR_NO_FILES     no descriptor is left
 *   other            as in struct pod_address; ERR_TIMEOUT: the pod was not read in time
 * A container that refuses the connection is an OK whose stream has ended with V_REFUSED. */
struct connector *direct_connector(struct direct *d);
