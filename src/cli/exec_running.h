/* cli/exec_running.h - does the kube-tunnel that runs serve the clusters that exec is to have? */
#pragma once

#include <jansson.h>

#include "config/config.h"

/* Compares --context with what its control socket reports: each context must be served, the first
 * under names without a label, and with the API server that this user's kubeconfig has for it.
 * OK also without --context.  ERR_CONFIG: *why says what it serves instead. */
MUST_CHECK enum err exec_running_serves(const struct config *config, const json_t *status,
                                        struct diag *why);
