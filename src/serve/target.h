/* serve/target.h - target and Host of a request into a route (RFC 9112, 3.2)
 *
 * Pure.  An absolute target ("GET http://web.shop/ HTTP/1.1", as clients write it to a
 * proxy) overrides Host, and its port is the service's; in the usual form a port that is
 * the listener's own is how the client connected, and does not choose one of the service.
 *
 * A name of two labels (web.shop) is accepted in an absolute target, and in Host only with
 * short-names: a page under a domain of that name could read the service otherwise
 * (decision 073).  So it is in CONNECT and in SOCKS.
 */
#pragma once

#include "config/config.h"
#include "route/naming.h"
#include "serve/refusal.h"
#include "wire/http1.h"
#include "serve/exposed.h"

/* By which targets are read and requests are checked; borrowed. */
struct rules {
    const struct config *config;
    const struct naming *naming;
    /* Is it the label of a cluster?  NULL: nothing is. */
    bool (*is_label)(const void *owner, struct str label);
    const void *owner;
    /* Proxy requests of this client may lead out of the cluster (--proxy-outside). */
    bool outside;
    bool any_port_outside; /* and not only to --proxy-outside-ports */
};

struct target {
    struct str path; /* as the pod gets it, but for a leading "/" when add_slash */
    bool add_slash;
    struct str host;      /* that the request names, without a port; may be empty */
    struct str authority; /* in place of Host; at == NULL: Host stays as it is */
    struct route route;   /* its name may be NAME_OWN: kube-tunnel itself */
    const struct exposed *exposed; /* of target_exposed: route is its; else NULL */
    bool connect;                  /* a CONNECT: what follows are bytes for `route` */
};

/* ERR_PROTO, or ERR_FORBIDDEN for a short name: *why is the refusal.  Views in *ret point
 * into the bytes of the head. */
MUST_CHECK enum err target_read(const struct http1_head *head, const struct rules *rules,
                                uint16_t listener_port, struct target *ret,
                                struct refusal *why);
/* Is the request written to a proxy: a CONNECT, or an absolute target? */
bool target_is_proxied(const struct http1_head *head);
/* Of a proxy client that names a host and a port: a name of the cluster, or an address that
 * may be one of it.
 * ret->host is set in any case. */
MUST_CHECK enum err target_proxied(struct str host, uint16_t port,
                                   const struct rules *rules, struct target *ret,
                                   struct refusal *why);
/* Of a ClientHello that names this host: the TLS port of a service or pod.  The same names as
 * in Host. */
MUST_CHECK enum err target_tls(struct str host, const struct rules *rules,
                               uint16_t listener_port, struct target *ret,
                               struct refusal *why);
/* Of a request through an exposed port, which is where it goes: the target stays as it is.
 * ERR_PROTO: CONNECT. */
MUST_CHECK enum err target_exposed(const struct http1_head *head,
                                   const struct exposed *exposed, struct target *ret,
                                   struct refusal *why);
