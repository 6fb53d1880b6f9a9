/* resolver/nsswitch.h - does nsswitch.conf keep names of .local from the DNS?
 *
 * `mdns4_minimal [NOTFOUND=return]` ends the look-up of a name that ends in .local before `dns`
 * or `resolve` have their turn, in versions of nss-mdns before 0.12, and in later ones if
 * /etc/mdns.allow has `.local`.  Text in, text out.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Is there such an action?  *ret_fixed, owned by the caller: the line `hosts:` with what
 * leads to the DNS in front of it. */
bool nsswitch_swallows_local(struct str text, char **ret_fixed);
/* Has the line `hosts:` this service: "resolve", "dns"? */
bool nsswitch_has(struct str text, struct str service);
