/* daemon/daemon.h - builds all parts in order, runs them, destroys them in reverse
 *
 * The only folder that includes all others.  Errors are printed on standard error, once.
 */
#pragma once

#include "daemon/config_source.h"

/* Answers requests until SIGTERM or SIGINT, or until its terminal is closed (SIGHUP).  From then on no clients are accepted,
 * running exchanges finish, and those left after drain-timeout are reset.  A second
 * signal ends the process at once.  The exit status: 0; 1 after a failure to start or a
 * second signal; 2 when a setting needs a feature that this version does not have.
 *
 * Another SIGHUP, and a change of a file of `source`, reloads the configuration
 * (daemon/reload.h).  Both are borrowed. */
int daemon_run(const struct config *config, const struct config_source *source);
