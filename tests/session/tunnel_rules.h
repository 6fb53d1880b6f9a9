/* tests/session/tunnel_rules.h - invariants of tunnels
 *
 * They hold between turns after any event: counters have the right values, and each
 * waiting opening has an event that will end its wait.  Reads private structs of tunnel/.
 */
#pragma once

#include "tunnel_rig.h"

/* A rule completes the sentence "it must hold that". */
void must(bool holds, const char *rule);

/* Checks all pods and their tunnels.  Returns how many bytes their pairs hold. */
size_t rules_check(void);
/* Checks a connection that its user has not closed. */
void rules_check_stream(const struct stream *s);
