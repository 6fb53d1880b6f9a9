/* cli/dns_release.h - kube-tunnel dns release
 */
#pragma once

#include "cli/command.h"

/* words: of the subcommand.  Returns the exit status. */
int dns_release(const struct args *a, const char *const *words, size_t word_count);
