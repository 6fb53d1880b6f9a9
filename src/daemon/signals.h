/* daemon/signals.h - what signals make the process do
 *
 * SIGTERM and SIGINT end it, a second one at once; SIGHUP reloads, or ends a process whose terminal
 * is gone; SIGUSR1 opens log files again.  Private to daemon/.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct daemon;
struct setting_changes;

void signals_listen(struct daemon *d); /* the loop exists */
/* Do what SIGTERM does, or two of them. */
void signals_stop(struct daemon *d, bool now);
/* Reload as SIGHUP does, which the service manager is notified of; as reload_run.  d->reload is
 * not NULL. */
MUST_CHECK enum err signals_reload(struct daemon *d, struct setting_changes *ret,
                                   struct diag *why);
/* The access log and the connection of traces are opened again, later in this turn. */
void signals_reopen(struct daemon *d);
void signals_close(struct daemon *d); /* before the loop is destroyed */
