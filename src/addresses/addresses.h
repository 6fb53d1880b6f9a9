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
struct service;

/* Reads the state file.  One that cannot be used is logged and left as it is: addresses are
 * still given, and collisions are forgotten at the end. */
struct addresses *addresses_create(const struct addresses_parts *parts);
void addresses_destroy(struct addresses *a); /* NULL accepted */

/* The address of a key, which is remembered; opens nothing.
 * ERR_NOT_CONFIGURED: no context has this label.  ERR_LIMIT: a name is too long. */
MUST_CHECK enum err addresses_assign(struct addresses *a, const struct address_key *key,
                                     struct in_addr *ret, struct diag *why);
/* The same, and the ports that it declares are listened on.  `service`: what the catalog
 * returned for the key: the service, or the SERVICE_POD of a pod.
 * Ports that cannot be opened are logged once, and shown by status; the others are open.
 * ERR_IN_USE: a program of another user listens at the address, so no client may be sent there. */
MUST_CHECK enum err addresses_open(struct addresses *a, const struct address_key *key,
                                   const struct service *service, struct in_addr *ret,
                                   struct diag *why);
/* To what key an address belongs; false: to none that was looked up.  *ret is borrowed until the
 * next call of a function of this header. */
bool addresses_owner(const struct addresses *a, struct in_addr address,
                     struct address_key *ret);
