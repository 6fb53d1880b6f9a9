/* cli/watch.h - status, drawn again every second */
#pragma once

#include "cli/args.h"

/* Until q or a signal; on a terminal with keys, in a pipe one report after another.
 * Returns the exit status. */
int watch_status(const struct args *a);
