/* cli/asking.h - one API server, for a command that queries it and ends */
#pragma once

#include "config/config.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "net/loop.h"

struct asking {
    struct loop *loop;
    struct exec_plugins *plugins;
    struct transfers *transfers;
    struct api *api;
    struct task on_credentials;
    struct credentials_want want;
    enum err authenticated; /* ERR_AGAIN: not known yet */
    struct diag why;
};

/* Of the first context of the settings, with its credentials, which are waited for: a plugin
 * may prompt at the terminal.  asking_close also after a failure. */
MUST_CHECK enum err asking_open(struct asking *a, const struct config *config,
                                struct diag *why);
void asking_close(struct asking *a);

/* To standard error, in the words of the page that a client would get; context NULL: there
 * is only one. */
void asking_complain(const char *context, enum err e, const struct diag *why);
