/* net/own_addresses.h - addresses of this machine, or of this process's pod
 *
 * A call queries the kernel, at most every ten seconds.
 */
#pragma once

#include "base/sched.h"

struct own_addresses;

struct own_addresses *own_addresses_create(struct sched *sched);
void own_addresses_destroy(struct own_addresses *o); /* NULL accepted */
/* ip: in its usual form ("10.1.2.3", "fd00::7"); false for any other text. */
bool own_addresses_include(struct own_addresses *o, const char *ip);
