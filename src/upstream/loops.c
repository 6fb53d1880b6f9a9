/* upstream/loops.c - would a forwarded request come back to kube-tunnel?
 *
 * Two kinds of endpoints lead to kube-tunnel itself:
 *
 * The pod we run in.  Every replica finds itself among the endpoints of the same service.
 * If it excluded only itself, the replicas would forward one request to each other for
 * ever.  So a request gets our own pages as soon as one endpoint is our pod.  If a name leads
 * to another replica and not to us, we forward to that replica, and it serves its own pages by
 * the same rule: there is at most one hop.
 *
 * A port of our own network namespace on which we listen.  Pods with hostNetwork share the
 * node's namespace, with each other and with a kube-tunnel that runs on the node.  Their
 * address is one of ours.  Any author of EndpointSlices can write that address, so the request
 * is refused: our own pages would then appear under the name of a service.
 */
#include "upstream/loops.h"

#include "route/route.h"
#include "upstream/balance.h"

static enum err check_listener(const struct own_listeners *listeners,
                               const struct endpoint *e, uint16_t port, struct diag *why)
{
    if (!e->ip || !listeners->has || !listeners->has(listeners->owner, e->ip, port))
        return OK;
    return diag_set(why, ERR_LOOP,
                    "pod %s has the address %s, which is this machine's, and on port %u "
                    "kube-tunnel itself listens there",
                    e->pod, e->ip, port);
}

enum err loops_check(const struct choice *c, struct diag *why)
{
    size_t limit = choice_limit(c);
    enum err result = OK;

    for (size_t i = 0; i < c->service->endpoint_count; i++) {
        const struct endpoint *e = c->service->endpoints[i];
        uint16_t port = route_container_port(c->route, c->service, e, c->port_index);
        if (!port || !route_matches(c->route, e))
            continue;
        if (own_pod_is(c->own, e))
            return ERR_SELF;
        if (!result && i < limit) /* others are not chosen */
            result = check_listener(c->listeners, e, port, why);
    }
    return result;
}
