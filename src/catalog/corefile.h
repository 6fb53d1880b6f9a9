/* catalog/corefile.h - the domain of the services in a Corefile, CoreDNS' configuration
 *
 * Pure text.  The domain is the first zone of the first "kubernetes" plugin that is not a
 * reverse zone; if the plugin names no zone, the first zone of its server block.
 */
#pragma once

#include "base/str.h"

#define ZONE_ROOM 256

/* False: no zone is a domain.  *ret is in lower case, without the final dot. */
bool corefile_zone(struct str text, char ret[static ZONE_ROOM]);
