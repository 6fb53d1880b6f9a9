/* kube/credentials_want.h - a caller that waits for a credential, or for its renewal
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/sched.h"

/* A caller that waits.  The struct is its own, zeroed before; one want may be used for
 * many calls. */
struct credentials_want {
    struct task *wake;
    bool
        background; /* no person waits: after failures it is not the first to try again */
    bool no_terminal; /* never the reason for a plugin to prompt at the terminal */
    struct list_node waiting; /* private */
};

/* It waits no longer; idempotent; zeroed accepted. */
void credentials_leave(struct credentials_want *w);
