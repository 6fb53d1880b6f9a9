/* catalog/corefile.h - the domain of the services in a Corefile, CoreDNS' configuration
 *
 * Pure text.  It is the first zone of the first plugin "kubernetes" that is no reverse zone;
 * where the plugin names none, that of its server block.
 */
#pragma once

#include "base/str.h"

#define ZONE_ROOM 256

/* False: there is none that is a domain.  Lower case, without the final dot. */
bool corefile_zone(struct str text, char ret[static ZONE_ROOM]);
