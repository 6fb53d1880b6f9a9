/* daemon/daemon.h - builds all parts in order, runs them, destroys them in reverse
 *
 * The only folder that includes all others.  Errors are printed on standard error, once.
 */
#pragma once

struct config;

/* Answers requests until SIGTERM or SIGINT.  From then on no clients are accepted,
 * running exchanges finish, and those left after drain-timeout are reset.  A second
 * signal ends the process at once.  The exit status: 0; 1 after a failure to start or a
 * second signal; 2 when a setting needs a feature that this version does not have. */
int daemon_run(const struct config *config);
