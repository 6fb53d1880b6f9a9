/* addresses/declared.h - the ports that are open at the address of a key, and where they lead
 *
 * Of a service: its TCP ports.  Of one endpoint of a service: the container's ports behind them,
 * as for a client in the cluster, which connects to the pod.  Of a pod: its containers'
 * TCP ports.  Pure.  Private to addresses/.
 */
#pragma once

#include "addresses/parts.h"
#include "route/name.h"

#define DECLARED_MAX 100 /* of one key; the rest is left out */

struct service;

struct declared_port {
    uint16_t local;  /* to listen on */
    uint16_t target; /* of the route: the service's port, or the pod's */
};

struct declared {
    struct declared_port at[DECLARED_MAX];
    size_t count;
};

/* The name of a key below a zone, in the shortest form that no other thing has: "web.shop.svc",
 * "db-0.db.shop.svc.blue.k8s".  Owned by the caller. */
char *declared_name(const struct address_key *key);
/* Each local port once.  endpoint: the name of an endpoint of the service; NULL: all of it. */
void declared_ports(const struct name *endpoint, const struct service *s,
                    struct declared *ret);
