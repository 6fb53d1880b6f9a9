/* daemon/names.h - the names that the settings define */
#pragma once

#include "config/config.h"
#include "route/naming.h"

/* Initialises *ret with the cluster's domain and the aliases.  ERR_CONFIG: *why names the
 * alias.  In any case the caller must finish *ret. */
MUST_CHECK enum err names_of(const struct config *config, struct naming *ret,
                             struct diag *why);
