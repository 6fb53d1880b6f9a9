/* base/program.h - run a program and wait for it
 *
 * For commands at the terminal only: it blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The program's path in $PATH, owned by the caller, or NULL. */
char *program_find(const char *name);

/* Run words[0] with the text as its standard input (NULL: none) and without its output.
 * ERR_IO: it cannot be run, or failed: *why has its name and its last line of stderr.
 * ERR_TIMEOUT: it was stopped, since it had not ended in 150 seconds. */
MUST_CHECK enum err program_run(const char *const *words, const char *input,
                                struct diag *why);
/* The same within another time. */
MUST_CHECK enum err program_run_within(const char *const *words, const char *input,
                                       int64_t ms, struct diag *why);
