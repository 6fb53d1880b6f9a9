/* cli/config_init.h - kube-tunnel config init */
#pragma once

#include "cli/args.h"

/* Writes a file with every setting as a comment, to --config or the user's place.  An
 * existing file is never touched.  The exit status. */
int config_init(const struct args *a);
