/* serve/exposed.h - where all bytes of a connection lead
 *
 * Of a listener that belongs to one port of one service (--expose), shared by the listener
 * and by the connections that came through it, which may outlive it.  Or of one CONNECT or
 * SOCKS request.
 */
#pragma once

#include <netinet/in.h>

#include "config/config.h"
#include "route/route.h"

#define PORT_NAME_ROOM 64

struct exposed {
    unsigned refs;                  /* private */
    struct route route;             /* where its connections lead */
    char port_name[PORT_NAME_ROOM]; /* the route's, when the port was given by name */
    bool any_host;                  /* browsers may send any Host */
    bool raw;                       /* bytes are never read as HTTP */
    /* of a listener at the address of a service: HTTP requests need a Host that is the address or
     * a name of the service; else "" */
    char address[INET_ADDRSTRLEN];
    char *proxied; /* of a proxy request: the host that it names; NULL: of a listener */
};

/* With one reference.  ERR_CONFIG: *why names the element, and what is wrong with its name or
 * port. */
MUST_CHECK enum err exposed_create(const struct expose *x, struct str zone,
                                   struct exposed **ret, struct diag *why);
/* Of a proxy request for this host; with one reference. */
struct exposed *exposed_proxied(const struct route *route, struct str host, bool raw);
struct exposed *exposed_ref(struct exposed *x); /* NULL accepted */
unsigned exposed_refs(const struct exposed *x); /* how many there are */
void exposed_unref(struct exposed *x);          /* likewise */
static inline void exposed_unrefp(struct exposed **x)
{
    exposed_unref(*x);
}
