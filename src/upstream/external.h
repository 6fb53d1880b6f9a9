/* upstream/external.h - follow an ExternalName to the service it is another name of
 *
 * Private to upstream/.  In the cluster such a service is a CNAME.  Where that leads to a
 * full name of this cluster (web.shop.svc.cluster.local) a request goes there, with the same
 * port; the rest of the world is not reached.
 */
#pragma once

#include "catalog/catalog.h"
#include "route/route.h"

#define EXTERNAL_HOPS_MAX 8

/* What decides whether a name may be followed; borrowed. */
struct external_rules {
    const char *zone, *found_zone; /* the cluster's domain; found_zone may be NULL */
    bool (*opens)(void *owner, struct str ns); /* NULL: every namespace is open */
    void *owner;
};

/* Where one request has been led so far; zeroed: nowhere. */
struct external {
    struct route *route; /* owned; NULL: the request's own route counts */
    unsigned hops;
    char *seen[EXTERNAL_HOPS_MAX]; /* "ns/name" of each ExternalName on the way */
};

/* `s` is the ExternalName that `route` leads to.  OK: x->route is where to look next.
 *   ERR_UNAVAILABLE  it leads out of the cluster, back to itself, or through too many names
 *   ERR_CLOSED       it leads to a namespace that is closed, or, where same_ns, to another */
MUST_CHECK enum err external_follow(struct external *x,
                                    const struct external_rules *rules,
                                    const struct route *route, const struct service *s,
                                    bool same_ns, struct diag *why);
/* Forget the way; idempotent. */
void external_finish(struct external *x);
