/* catalog/address_owner.h - the service or pod that has an address
 *
 * Two lists with a field selector: services by spec.clusterIP, pods by status.podIP.  Both are
 * written by the API server and the kubelet, not by users, unlike the addresses in
 * EndpointSlices.  An object counts only if it has the address itself.  A pod in its node's
 * network does not count: its address is the node's.
 *
 * Results are cached for settings.keep_ms.  The API server's selectors match only the first
 * address of a service or pod, so others are not found.
 */
#pragma once

#include "catalog/catalog.h"

/* One look-up; the caller's struct, zeroed before its first use.  result is ERR_AGAIN until the
 * outcome is known, then `wake` is woken:
 *   OK             ns and name are those of the owner
 *   ERR_NOT_FOUND  no service and no pod has the address
 *   other          the API server's failure */
struct address_owner {
    enum err result;
    bool is_pod; /* else it is a service */
    char ns[64], name[256];
    struct api_error error;
    struct task *wake; /* private, like what follows; NULL: no look-up is in progress */
    struct catalog *catalog;
    char address[48];
    struct api_call services, pods;
    struct task answered;
};

/* address: as inet_ntop writes it; copied.  The result may be known when this returns; then
 * `wake` is not woken. */
void address_owner_find(struct address_owner *a, struct catalog *c, const char *address,
                        struct task *wake);
void address_owner_finish(struct address_owner *a); /* cancels; idempotent */
