/* direct/direct.h - a connector that connects to the pod's own address
 *
 * For networks in which pods can be reached: usually in a pod of the cluster itself.  Each
 * connection is one TCP connection; nothing is multiplexed, prewarmed or kept.  Refusals,
 * resets and half-closed connections come from the container itself.
 *
 * The connector uses only addresses that the API server reports in status.podIPs of the
 * endpoint's pod (catalog/pod_addresses.h).  It uses no loopback or link-local address, no
 * address of this machine, and not the API server's (docs/decisions/111-direct-addresses.md).
 */
#pragma once

#include "connect/connector.h"
#include "net/loop.h"
#include "net/own_addresses.h"

struct direct;
struct pod_addresses;

struct direct_settings {
    uint64_t
        connect_ms; /* time-out of an opening: to read the pod and to connect to it */
    const char *api_server; /* host of the API server; borrowed */
    bool any_address;       /* for tests: allow this machine's addresses, too */
    uint16_t cluster;       /* number of the cluster, for logs and metrics */
    /* The id of the last direct connection, shared by all clusters of the process, so that
     * ids in the log are unique; borrowed; NULL: not shared. */
    uint64_t *last_id;
};

/* `addresses` is borrowed. */
struct direct *direct_create(struct loop *loop, struct pod_addresses *addresses,
                             const struct direct_settings *settings);
/* Only when nothing is being opened; NULL accepted. */
/* Of attempts from now on. */
void direct_set_connect_ms(struct direct *d, uint64_t connect_ms);
void direct_destroy(struct direct *d);

/* Errors of its openings:
 *   ERR_CONNECT      no packet came from the pod's address in time, or it is unreachable
 *   ERR_NO_FILES     no descriptor is left
 *   other            as in struct pod_address; ERR_TIMEOUT: the pod was not read in time
 * A container that refuses the connection is an OK whose stream has ended with V_REFUSED. */
struct connector *direct_connector(struct direct *d);
