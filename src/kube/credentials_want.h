/* kube/credentials_want.h - a caller that waits for a credential, or for its renewal
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/sched.h"

/* A caller that waits; the caller's struct, zeroed before; it may be used for many calls. */
struct credentials_want {
    struct task *wake;
    bool background;          /* no client waits for it: longer pauses after failures */
    bool no_terminal;         /* must not make an exec plugin prompt at the terminal */
    struct list_node waiting; /* private */
};

/* Stop waiting; idempotent; zeroed accepted. */
void credentials_leave(struct credentials_want *w);
