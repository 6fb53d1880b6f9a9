/* cli/complete_targets.h - targets and ports of port-forward for completion
 *
 * "sv" becomes "svc/", "svc/w" the names of Services, and a word after a target its ports, by
 * name and by number, also after "8080:".
 */
#pragma once

#include "cli/candidate.h"

void print_targets(const struct typed_word *t);
