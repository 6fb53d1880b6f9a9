/* addresses/addresses.h - a loopback address for each service and pod
 *
 * A name of the cluster leads to an address 127.x.y.z of its own, at which the service's TCP
 * ports are listened on, so that programs without a proxy setting connect by name.
 *
 * An address is a hash of context, namespace, service and pod, with a seed that the state file
 * keeps.  It is the same at each start.  Keys whose hashes collide are remembered in the file.
 * Never given: 127.0.0.0/16, 127.x.y.0 and 127.x.y.255.
 *
 * addresses_assign only returns the address.  addresses_open also opens listeners: one for
 * each declared port, from the look-up until a while after the last look-up and connection
 * (the setting address-idle).
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "addresses/parts.h"

struct addresses;
struct config;
struct listeners;
struct service;

/* The state file is read with the first key.  One that cannot be used is logged and left as it is:
 * addresses are still given, and collisions are forgotten at the end. */
struct addresses *addresses_create(const struct addresses_parts *parts);
/* Closes all listeners.  NULL accepted. */
void addresses_destroy(struct addresses *a);

/* What accepts clients; borrowed until the next call.  NULL, as at first: nothing may be opened, and
 * what is open closes (its connections stay). */
void addresses_listen(struct addresses *a, struct listeners *listeners);
/* Other settings, of which a reference is taken. */
void addresses_configure(struct addresses *a, const struct config *config);
/* Not more listeners than this, whatever the settings are; 0: no other limit. */
void addresses_limit(struct addresses *a, size_t listeners);

/* The address of a key, which is remembered; opens nothing.
 * ERR_NOT_CONFIGURED: no context has this label.  ERR_LIMIT: a name is too long.
 * ERR_PROTO: a part of the key has a dot.  ERR_CLOSED: the namespace is closed by the settings. */
MUST_CHECK enum err addresses_assign(struct addresses *a, const struct address_key *key,
                                     struct in_addr *ret, struct diag *why);
/* The same, and the ports that it declares are listened on.  `service`: what the catalog
 * returned for the key: the service, or the SERVICE_POD of a pod.
 * Ports that cannot be opened are logged once, and shown by status; the others are open.
 * With an error no client may be sent to the address: another user's program may listen there.
 * ERR_IN_USE: it does.  ERR_LIMIT, ERR_NO_FILES: too many listeners are open.
 * ERR_CANCELLED: the process is about to end. */
MUST_CHECK enum err addresses_open(struct addresses *a, const struct address_key *key,
                                   const struct service *service, struct in_addr *ret,
                                   struct diag *why);
/* To what key an address belongs; false: to none that was looked up.  *ret is borrowed until the
 * next call of a function of this header. */
bool addresses_owner(const struct addresses *a, struct in_addr address,
                     struct address_key *ret);

/* Closes the listeners on this port, which is not listened on again before ADDRESS_RELEASED_MS and
 * then only after a look-up.  Returns how many were open. */
size_t addresses_release(struct addresses *a, uint16_t port);

/* For status pages; texts are borrowed for the call. */
struct address_port {
    uint16_t port;
    bool open;
};
struct address_status {
    const char *name; /* "web.shop.svc" */
    struct in_addr address;
    const struct address_port *ports;
    size_t port_count;
    uint64_t idle_ms; /* since the last look-up or connection */
    bool pinned;
};
/* The addresses whose ports are listened on, the least recently used first. */
void addresses_each(const struct addresses *a,
                    void (*each)(void *owner, const struct address_status *),
                    void *owner);

struct address_problem {
    uint16_t port;
    enum err
        error; /* ERR_ACCESS: the port needs a privilege; ERR_IN_USE, ERR_FORBIDDEN, ... */
    const char *reason;
    const char *fix; /* what to type; NULL: nothing */
};
/* Ports that could not be opened lately. */
void addresses_each_problem(const struct addresses *a,
                            void (*each)(void *owner, const struct address_problem *),
                            void *owner);
struct addresses_summary {
    size_t known;      /* keys that have an address */
    size_t listeners;  /* sockets */
    uint64_t refused;  /* openings that failed because there were too many */
    uint64_t idle_ms;  /* they are closed when not used for so long; 0: never */
    const char *state; /* why the state file is not used; NULL: it is */
};
struct addresses_summary addresses_summary(const struct addresses *a);
