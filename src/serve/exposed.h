/* serve/exposed.h - the listener of one port of one service (--expose)
 *
 * Shared by the listener and by the connections that came through it, which may outlive it.
 */
#pragma once

#include "config/config.h"
#include "route/route.h"

#define PORT_NAME_ROOM 64

struct exposed {
    unsigned refs;                  /* private */
    struct route route;             /* where its connections lead */
    char port_name[PORT_NAME_ROOM]; /* the route's, when the port was given by name */
    bool any_host;                  /* browsers may send any Host */
    bool raw;                       /* bytes are never read as HTTP */
};

/* With one reference.  ERR_CONFIG: *why names the element, and what is wrong with its name or
 * port. */
MUST_CHECK enum err exposed_create(const struct expose *x, struct str zone,
                                   struct exposed **ret, struct diag *why);
struct exposed *exposed_ref(struct exposed *x); /* NULL accepted */
void exposed_unref(struct exposed *x);          /* likewise */
static inline void exposed_unrefp(struct exposed **x)
{
    exposed_unref(*x);
}
