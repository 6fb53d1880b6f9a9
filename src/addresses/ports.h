/* addresses/ports.h - the listeners of one address
 *
 * Each declared port has a listener of its own or, with the setting address-per-port, shares that
 * of all addresses with the same port.  Where the latter cannot be had, because a program listens
 * on 127.0.0.1, it has its own.  Private to addresses/.
 */
#pragma once

#include "addresses/addresses_state.h"
#include "addresses/declared.h"

struct open_port {
    struct declared_port declared;
    struct exposed *exposed;      /* where clients lead; NULL: none has come yet */
    struct listen_socket *socket; /* its own; NULL: it is shared, or not open */
    struct shared_port *shared;   /* NULL: it has its own, or is not open */
};

struct open_ports {
    struct open_port *at;
    size_t count;
    enum err refusal; /* no client may be sent to the address */
    struct diag *why; /* the reason; NULL: there is no refusal */
};

/* Opens what is declared, and closes what no longer is.  A port that cannot be opened is noted as a
 * problem, and tried at the next call. */
void open_ports_follow(struct addresses *a, struct open_ports *p, uint32_t address,
                       const char *name, const struct declared *d);
void open_ports_close(struct addresses *a, struct open_ports *p);
/* Those with this local port, but they stay in the list. */
size_t open_ports_close_one(struct addresses *a, struct open_ports *p, uint16_t port);
static inline bool port_is_open(const struct open_port *p)
{
    return p->socket || p->shared;
}
/* Are these the ports that are declared? */
bool open_ports_match(const struct open_ports *p, const struct declared *d);
bool open_ports_all_open(const struct open_ports *p);
size_t open_ports_sockets(const struct open_ports *p);     /* how many are open */
size_t open_ports_own_sockets(const struct open_ports *p); /* that are not shared */
/* Clients that have connected, and wait. */
void open_ports_accept_waiting(const struct open_ports *p);
bool open_ports_connected(const struct open_ports *p); /* is a connection open? */
/* Where a client of this port leads.  NULL: it is not open. */
struct exposed *open_ports_find(const struct addresses *a, struct open_ports *p,
                                uint32_t address, const char *name, uint16_t port);

bool port_is_released(struct addresses *a, uint16_t port);
/* For ADDRESS_RELEASED_MS; if too many are, the oldest is listened on again. */
void port_release(struct addresses *a, uint16_t port);
