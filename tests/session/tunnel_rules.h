/* tests/session/tunnel_rules.h - what must hold of tunnels, whatever has happened
 *
 * To be looked at between turns, after anything: what is counted step by step is counted
 * anew, and no opening waits for what will not come.  Reads what is private to tunnel/.
 */
#pragma once

#include "tunnel_rig.h"

/* A rule completes the sentence "it must hold that". */
void must(bool holds, const char *rule);

/* Of all pods and their tunnels.  Returns how many bytes the pairs there keep. */
size_t rules_check(void);
/* Of a connection that its user has not closed. */
void rules_check_stream(const struct stream *s);
