/* cli/complete.h - candidates for the word that is being typed in a shell
 *
 * Names of commands, flags and settings come from their tables; services, namespaces and
 * contexts from the cluster (cli/complete_names.h).
 */
#pragma once

#include "cli/candidate.h"

/* Prints each candidate.  Ends the process after a second, with what was printed until
 * then. */
void print_candidates(const struct typed_word *t);
