/* playground/kubeconfig.h - writes the kubeconfig for clients of the playground */
#pragma once

#include "playground/ca.h"
#include "playground/options.h"

/* Contexts: playground (by token) and playground-certificate; both in namespace shop.
 * ERR_IO names the file. */
MUST_CHECK enum err kubeconfig_write(const struct options *o, const char *address,
                                     const char *ca, const struct identity *user,
                                     struct diag *why);
