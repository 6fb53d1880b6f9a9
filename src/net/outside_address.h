/* net/outside_address.h - addresses that a proxy must not be used to reach
 *
 * A proxy connects with the identity of its own machine.  Addresses that only this machine,
 * or only this link, can reach are therefore refused: the machine's own, loopback,
 * link-local, multicast, and the metadata services of cloud providers.  IPv4 addresses
 * inside IPv6 ones (v4-mapped, v4-compatible, NAT64, 6to4) are judged as IPv4 too.
 *
 * No I/O.  Call it with each resolved address, just before connecting to it: a name may
 * resolve to another address the second time.
 */
#pragma once

#include <sys/socket.h>

#include "base/err.h"
#include "net/own_addresses.h"

/* ERR_CLOSED: *why has the kind of the address ("127.0.0.1 is a loopback address").
 * `own` has the machine's addresses. */
MUST_CHECK enum err outside_address_check(const struct sockaddr *sa,
                                          struct own_addresses *own, struct diag *why);
