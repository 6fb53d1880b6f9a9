/* listen/listen.h - the sockets that accept clients
 *
 * The listeners are the sockets inherited from systemd and those of --listen and --port;
 * without any of these, port 80 on the default addresses (127.0.0.1 and ::1; in a pod
 * all), or 8080 if port 80 needs a privilege, and 443 or 8443 if one of them can be
 * bound.  In addition --tls-port, and an exposed port for each --expose.
 *
 * A listener reads nothing from clients: each becomes a stream and is passed to serve/ at
 * once.
 */
#pragma once

#include "config/config.h"
#include "net/loop.h"

struct listeners;
struct serve;

/* `serve` is borrowed until listeners_close; the config only for the call.  Opens all
 * listeners or none.  ERR_IN_USE, ERR_ACCESS, ERR_CONFIG, ERR_LIMIT, ERR_NO_FILES: *why
 * names the listener and what to do. */
MUST_CHECK enum err listeners_open(struct loop *loop, struct serve *serve,
                                   const struct config *config, bool in_pod,
                                   struct listeners **ret, struct diag *why);
/* The port that the default listeners would have: 80, or 8080 if port 80 needs a
 * privilege. Binds it for a moment to find out. */
uint16_t listen_default_port(bool in_pod);
/* Binds for a moment what listeners_open would open, and describes it in `ret`: "80, 443".
 * Its errors are those of listeners_open. */
MUST_CHECK enum err listen_check(const struct config *config, bool in_pod, char *ret,
                                 size_t size, struct diag *why);
/* One listener, for status pages; the texts are borrowed for the call. */
struct listener_status {
    const char *address;   /* "127.0.0.1:80" */
    bool loopback;         /* only this machine can reach it */
    const char *exposes;   /* the name of the service; NULL: it serves names */
    const char *port_name; /* of the service's port; NULL: `port` has its number */
    uint16_t port;         /* of that service */
};
/* NULL accepted: there are none. */
void listeners_each(const struct listeners *l,
                    void (*each)(void *owner, const struct listener_status *),
                    void *owner);

/* One more exposed port, beside those of the settings, which a change of these leaves.  All of its addresses or none are
 * opened.  The errors are those of listeners_open.  *ret_port is the local port. */
MUST_CHECK enum err listeners_expose(struct listeners *l, const struct expose *x,
                                     struct str zone, uint16_t *ret_port,
                                     struct diag *why);
/* Closes the exposed ports with this local port; their connections go on.  Returns how many
 * sockets were closed. */
size_t listeners_unexpose(struct listeners *l, uint16_t port);
size_t listeners_exposed(const struct listeners *l); /* sockets of exposed ports */

/* Is there a listener on this port?  NULL accepted: no. */
bool listeners_have_port(const struct listeners *l, uint16_t port);
/* Closes the listeners; new connections are refused (an inherited socket stays open in
 * systemd).  NULL accepted. */
void listeners_close(struct listeners *l);
