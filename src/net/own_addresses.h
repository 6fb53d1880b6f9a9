/* net/own_addresses.h - which addresses belong to this machine, or to the pod it runs in
 *
 * The kernel is queried at most every ten seconds, and only at a call.
 */
#pragma once

#include "base/sched.h"

struct own_addresses;

struct own_addresses *own_addresses_create(struct sched *sched);
void own_addresses_destroy(struct own_addresses *o); /* NULL accepted */
/* ip: in its usual form ("10.1.2.3", "fd00::7"); anything else is no address of ours. */
bool own_addresses_include(struct own_addresses *o, const char *ip);
