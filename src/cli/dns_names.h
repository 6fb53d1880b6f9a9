/* cli/dns_names.h - names of the cluster as lines for a hosts file
 */
#pragma once

#include "base/texts.h"
#include "cli/command.h"

/* Those below the domains that the running kube-tunnel knows, "ADDRESS NAME\n" each; owned by the
 * caller.  It then listens on these addresses.  NULL: none runs, or there are too many; *why
 * has the reason. */
char *dns_known_names(const struct args *a, const struct texts *domains,
                      struct diag *why);
