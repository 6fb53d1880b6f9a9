/* exec/own_tunnel.h - a kube-tunnel for one command, while no other runs
 *
 * It is this program, run with a name of its own and listeners on ports that the kernel
 * chooses.  A keeper ends it with the command; the kernel ends it with the keeper.  Its log is
 * a file beside its control socket, for this user only, and is removed with it.
 */
#pragma once

#include "base/str.h"

struct own_tunnel {
    char name[40];
    int alive; /* readable: it has ended */
};

/* words: the settings as flags ("--context=dev"), NULL at the end. */
MUST_CHECK enum err own_tunnel_start(const char *const *words, struct own_tunnel *ret,
                                     struct diag *why);
/* Waits until it serves.  ERR_TIMEOUT, or its own error. */
MUST_CHECK enum err own_tunnel_wait(const struct own_tunnel *t, unsigned deadline_ms,
                                    struct diag *why);
void own_tunnel_finish(struct own_tunnel *t); /* closes `alive`; it runs on */
