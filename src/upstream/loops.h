/* upstream/loops.h - would a forwarded request come back to kube-tunnel?
 *
 * Private to upstream/.  Nothing is added to requests, so a request that comes back looks
 * like a new one.  It must not be forwarded in the first place (decision 068).
 */
#pragma once

#include "upstream/balance.h"

/* OK        no endpoint that this choice could use, ready or not, is kube-tunnel
 * ERR_SELF  one of them is the pod we run in; another one may be our replica
 * ERR_LOOP  one of them is a port of this machine on which we listen; *why names it */
enum err loops_check(const struct choice *c, struct diag *why);
