/* catalog/address_owner.h - the service or pod that has an address
 *
 * Two lists with a field selector: services by spec.clusterIP, pods by status.podIP.  Both are
 * written by the API server and the kubelet, not by users, unlike the addresses in
 * EndpointSlices.  An object counts only if it has the address itself.  A pod in its node's
 * network does not count: its address is the node's.
 *
 * The API server's selectors match only the first address of a service or pod.  For the second
 * ones (spec.clusterIPs, status.podIPs) all services and pods are listed, unless such a list
 * has shown in the last minutes that no object has a second address of this family.  Where
 * the whole cluster may not be listed, the namespaces that may be read are, one after the
 * other.
 *
 * Results are cached for settings.keep_ms.
 */
#pragma once

#include "catalog/catalog.h"

#define OWNER_KINDS 2 /* services and pods */

/* Of one kind; private. */
struct owner_search {
    struct address_owner *owner;
    enum { OWNER_BY_SELECTOR, OWNER_ALL, OWNER_BY_NAMESPACE, OWNER_OVER } step;
    size_t next_ns;
    bool refused;           /* a list was forbidden */
    struct api_error error; /* another failure; code OK: none */
    struct api_call call;
};

/* One look-up; the caller's struct, zeroed before its first use.  result is ERR_AGAIN until the
 * outcome is known, then `wake` is woken:
 *   OK             ns and name are those of the owner
 *   ERR_NOT_FOUND  no service and no pod has the address
 *   ERR_FORBIDDEN  none in the namespaces that may be listed; the error names the right that
 *                  is missing for the others
 *   other          the API server's failure */
struct address_owner {
    enum err result;
    bool is_pod; /* else it is a service */
    char ns[64], name[256];
    struct api_error error;
    struct task *wake; /* private, like what follows; NULL: no look-up is in progress */
    struct catalog *catalog;
    char address[48];
    bool second_seen; /* an object has a second address of this family */
    struct owner_search searches[OWNER_KINDS];
    struct task answered;
};

/* address: as inet_ntop writes it; copied.  The result may be known when this returns; then
 * `wake` is not woken. */
void address_owner_find(struct address_owner *a, struct catalog *c, const char *address,
                        struct task *wake);
void address_owner_finish(struct address_owner *a); /* cancels; idempotent */
