/* tests/session/tunnel_rules.h - what must hold of tunnels, whatever has happened
 *
 * To be looked at between turns, after anything: what is counted step by step is counted
 * anew, and nobody waits for what will not come.  Reads what is private to tunnel/.
 */
#pragma once

#include "tunnel_rig.h"

/* A rule is what a sentence says after "it must hold that". */
void must(bool holds, const char *rule);

/* Of all pods and their tunnels.  Returns how many bytes the pairs there keep. */
size_t rules_check(void);
/* Of a connection whose user has not closed it. */
void rules_check_stream(const struct stream *s);
