/* daemon/refusals.h - settings that need what this version cannot do
 *
 * The table of settings is complete from the start, its meaning grows with each version.
 * A setting that would be silently ignored is refused instead.
 */
#pragma once

#include "base/err.h"

struct config;

/* ERR_CONFIG, and *why names the setting, where its value came from and what to do. */
MUST_CHECK enum err refusals_check(const struct config *config, struct diag *why);
