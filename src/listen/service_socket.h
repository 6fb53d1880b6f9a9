/* listen/service_socket.h - listeners at the loopback addresses of services
 *
 * They accept clients as exposed ports do, with the same check of the client's user.  They are
 * opened and closed by addresses/; a change of the settings leaves them.  The owner closes all of
 * them before listeners_close.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "listen/service_sockets.h"

struct listeners;
struct listen_socket;

/* At one address and port.
 * ERR_IN_USE   see service_port_user
 * ERR_ACCESS   the port needs a privilege
 * ERR_NO_FILES, ERR_CONFIG */
MUST_CHECK enum err service_socket_open(struct listeners *l,
                                        const struct service_sockets *services,
                                        struct in_addr at, uint16_t port,
                                        struct listen_socket **ret, struct diag *why);
/* At this port of every address of the loopback device (0.0.0.0 on lo): also of 127.0.0.1.
 * The same errors; ERR_ACCESS also where the kernel refuses SO_BINDTODEVICE. */
MUST_CHECK enum err service_socket_open_port(struct listeners *l,
                                             const struct service_sockets *services,
                                             uint16_t port, struct listen_socket **ret,
                                             struct diag *why);
/* Which user's program listens there, or at every address with this port.
 * OK             none does
 * ERR_IN_USE     this user's, or root's, which could do more than listen there
 * ERR_FORBIDDEN  another user's: a client that connects would reach it
 * *ret_everywhere: at every address. */
MUST_CHECK enum err service_port_user(struct in_addr at, uint16_t port,
                                      bool *ret_everywhere, struct diag *why);
/* Names the program, if it is visible.  Looks at all processes: not to be called often. */
void service_port_explain(struct in_addr at, uint16_t port, struct diag *why);
/* Accepts the clients that have connected, before an address that it serves closes. */
void service_socket_accept_waiting(struct listen_socket *d);
void service_socket_close(struct listen_socket *d); /* its clients stay */
