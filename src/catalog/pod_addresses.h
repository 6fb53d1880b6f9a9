/* catalog/pod_addresses.h - addresses of pods for direct connections, from status.podIPs
 *
 * An EndpointSlice may contain any address: a user that may write slices in one namespace could
 * make kube-tunnel connect to a pod of another one, or to a node.  status.podIPs of a pod is
 * written by the kubelet, so direct connections use only addresses from there.
 *
 * A pod is read when its address is needed, and again when the last read is older than
 * POD_ADDRESSES_FRESH_MS, since the address of a deleted pod is given to another one.
 */
#pragma once

#include "catalog/catalog.h"

#define POD_ADDRESSES_FRESH_MS 10000

struct pod_addresses;

struct pod_addresses *pod_addresses_create(struct sched *sched, struct api *api,
                                           uint64_t call_ms);
void pod_addresses_destroy(
    struct pod_addresses *p); /* when nothing waits; NULL accepted */

/* May this endpoint's address be dialled?  The caller's struct, zeroed before.
 *   ERR_AGAIN        the pod is being read; `wake` is woken when that changes
 *   OK               `address` is one of the pod's own: the endpoint's, or the first where
 *                    the endpoint has none
 *   ERR_ACCESS       the pod shares its node's network or does not have the endpoint's
 *                    address, or the endpoint has no UID
 *   ERR_NOT_FOUND    the endpoint's pod does not exist (any more), or runs no more
 *   ERR_UNAVAILABLE  the pod has no address at present
 *   other            pods may not be read (ERR_FORBIDDEN), or the API server's failure */
struct pod_address {
    enum err result;
    char address[64];       /* numeric */
    struct api_error error; /* the reason, unless it is OK */
    struct task *wake;
    struct list_node waiting; /* private, like what follows */
    const struct endpoint *endpoint;
};

/* The outcome may be known before it returns; then `wake` is not woken.  The endpoint is
 * borrowed until the outcome is known. */
void pod_address_find(struct pod_addresses *p, const struct endpoint *endpoint,
                      struct pod_address *ret, struct task *wake);
void pod_address_finish(struct pod_address *a); /* cancels; idempotent; zeroed accepted */

/* The pod is gone: drop what was read of it. */
void pod_addresses_forget(struct pod_addresses *p, const char *pod_key);
