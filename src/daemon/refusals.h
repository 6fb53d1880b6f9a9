/* daemon/refusals.h - refuses settings that contradict each other
 *
 * An exposed port whose namespace is closed, for example: without the check it would not
 * work.  Also refuses authorities in files that cannot be used.
 */
#pragma once

#include "base/err.h"

struct config;

/* ERR_CONFIG, and *why names the setting, where its value came from and what to do. */
MUST_CHECK enum err refusals_check(const struct config *config, struct diag *why);
