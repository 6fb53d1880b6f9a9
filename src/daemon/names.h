/* daemon/names.h - the names that the settings define */
#pragma once

#include "config/config.h"
#include "route/naming.h"

/* With the cluster's domain and the aliases.  ERR_CONFIG: *why names the alias; *ret is
 * written and the caller's to finish in any case. */
MUST_CHECK enum err names_of(const struct config *config, struct naming *ret,
                             struct diag *why);
