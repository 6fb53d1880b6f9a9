/* daemon/daemon.h - builds everything in order, runs it, takes it down in reverse */
#pragma once

struct config;

/* Answer requests until told to stop.  The exit status: 0, or 1 after a failure. */
int daemon_run(const struct config *config);
/* Print the services that can be reached and their URLs.  The exit status. */
int daemon_list(const struct config *config);
