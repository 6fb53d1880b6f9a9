/* upstream/external.h - follow a service of type ExternalName to the service it names
 *
 * Private to upstream/.  In the cluster's DNS such a service is a CNAME.  If its target is the
 * full name of a service of this cluster (web.shop.svc.cluster.local), the request goes to
 * that service, with the same port.  Any other target is an error.
 */
#pragma once

#include "catalog/catalog.h"
#include "route/route.h"

#define EXTERNAL_HOPS_MAX 8

/* What decides whether a name may be followed; borrowed. */
struct external_rules {
    const char *zone, *found_zone; /* the cluster's domain; found_zone may be NULL */
    bool (*is_open)(void *owner, struct str ns); /* NULL: every namespace is open */
    void *owner;
};

/* The ExternalNames that one request has followed; zeroed: none. */
struct external {
    struct route *route; /* owned; the last target; NULL: none was followed */
    unsigned hops;
    char *seen[EXTERNAL_HOPS_MAX]; /* "ns/name" of each ExternalName that was followed */
};

/* `s` is the ExternalName that `route` leads to.  OK: x->route is the route to its target.
 *   ERR_UNAVAILABLE  the target is outside the cluster, was followed before, or is one too
 *                    many
 *   ERR_CLOSED       the target's namespace is closed, or, with same_ns, is not that of `s` */
MUST_CHECK enum err external_follow(struct external *x,
                                    const struct external_rules *rules,
                                    const struct route *route, const struct service *s,
                                    bool same_ns, struct diag *why);
/* Idempotent. */
void external_finish(struct external *x);
