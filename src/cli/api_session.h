/* cli/api_session.h - a connection to one API server, for a command that queries it and
 * ends */
#pragma once

#include "config/config.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "net/loop.h"

struct api_session {
    struct loop *loop;
    struct exec_plugins *plugins;
    struct transfers *transfers;
    struct api *api;
    struct task on_credentials;
    struct credentials_want want;
    struct timer deadline;
    enum err authenticated; /* ERR_AGAIN: not known yet */
    struct diag why;
};

/* Uses the first context of the settings, and waits for its credentials.
 * unattended_ms 0: a plugin may prompt at the terminal.  Else plugins get no terminal and
 * show nothing, and the loop stops after so long: then the result is ERR_AGAIN, or a call
 * has no result.  Call api_session_close also after a failure: it ends a plugin that runs. */
MUST_CHECK enum err api_session_open(struct api_session *a, const struct config *config,
                                     uint64_t unattended_ms, struct diag *why);
void api_session_close(struct api_session *a);

/* Prints the error to standard error, with the text of the page that a client would get;
 * context NULL: there is only one. */
void api_session_print_error(const char *context, enum err e, const struct diag *why);
