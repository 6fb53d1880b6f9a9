/* listen/listeners.h - accept clients on a socket and pass them to serve/
 *
 * Private to listen/.
 */
#pragma once

#include "base/address.h"
#include "base/list.h"
#include "listen/clients.h"
#include "listen/wanted.h"

struct bridges;
struct listener;
struct loop;
struct own_addresses;
struct serve;

/* Small where it is at addresses of services: there may be thousands. */
struct listen_socket {
    struct list_node node;
    struct listeners *all;
    struct listener *listener;
    char *address; /* for logs and status; NULL: of services */
    uint16_t port;
    bool loopback;           /* only reachable from this machine */
    bool bridge;             /* of listen/bridge.h */
    struct exposed *exposed; /* the service port if this is an exposed port; else NULL */
    const struct service_sockets *services; /* not NULL: it is at addresses of services */
    struct in_addr at;                      /* of one service; 0: of all */

    char *key;      /* wanted_key; "" for a socket from systemd, which always stays */
    unsigned group; /* the two sockets of one address have the same number */
    struct listen_address *wanted; /* NULL: inherited, or of services */
    bool added;                    /* by listeners_expose: the settings do not have it */
    const struct wanted *claim;    /* during a change: what it serves after it; or NULL */
};

struct listeners {
    struct loop *loop;
    struct serve *serve;
    struct clients *clients;
    struct list_node sockets;
    struct list_node service_sockets; /* of listen/service_socket.h */
    struct start start;               /* what `auto` of --clients depends on */
    bool in_pod, inherited;
    unsigned groups;
    struct bridges *bridges;
    struct own_addresses *own; /* as clients of bridges are compared with */
};

/* Accepts on this socket, which is taken over.  w NULL: it is inherited. */
void listen_socket_open(struct listeners *l, int fd, const struct wanted *w);
/* The same for all of an address. */
void listen_sockets_open(struct listeners *l, const struct listen_sockets *sockets,
                         const struct wanted *w);
void listen_socket_close(struct listen_socket *d);
/* One at an address of a service, or at all of them, that is in the way of what is wanted; or NULL. */
const struct listen_socket *listeners_at_services(const struct listeners *l,
                                                  const struct wanted *w);
/* Closes those.  False: there were none. */
bool listeners_take_from_services(struct listeners *l, const struct wanted *w);
/* Of a socket that has all but its listener: accepts clients. */
void listen_socket_start(struct listen_socket *d, int fd);
