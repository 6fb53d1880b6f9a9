/* daemon/service_rules.h - the settings `tls-ca` and `tls`, with the files that they name */
#pragma once

#include "base/err.h"

struct config;
struct tls_rules;

/* Reads the files.  The caller's reference; ERR_CONFIG: *why names the setting, where its value
 * came from, and the file. */
MUST_CHECK enum err service_rules_of(const struct config *c, struct tls_rules **ret,
                                     struct diag *why);
