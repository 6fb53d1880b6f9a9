/* daemon/daemon.h - builds everything in order, runs it, takes it down in reverse
 *
 * The only folder that includes all others.  Errors are printed on standard error, once.
 */
#pragma once

struct config;

/* Answer requests until SIGTERM or SIGINT: no new clients from then on, running exchanges
 * finish, what is left after drain-timeout is reset.  A second signal ends it at once.
 * The exit status: 0; 1 after a failure to start or a second signal; 2 when a setting
 * needs a feature that this version does not have. */
int daemon_run(const struct config *config);
