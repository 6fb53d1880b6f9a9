/* cli/exec_variables.h - the variables that exec --env-from takes from a container
 *
 * They are read from the API server with the caller's kubeconfig in a child of this process, so
 * that no thread, signal handler and descriptor of that is left when the command starts, and
 * arrive in a pipe.  Values of Secrets are in these two processes and the command only: the
 * memory that they arrive in is in no core and in no process that is forked later.
 */
#pragma once

#include "cli/command.h"

struct exec_variables {
    char *text; /* mapped; "NAME=VALUE", each with its NUL */
    size_t len;
};

/* Which API server they are read from. */
struct exec_source {
    const char *ns; /* NULL: the namespace of the context */
    /* The kube-tunnel whose names the command has, and its first cluster, so that both are of
     * one cluster.  NULL: none runs, and the settings choose. */
    const char *tunnel, *context, *server;
};

/* Without --env-from: none.  EXIT_OK, or an exit status after printing the error; what is left
 * out is printed too. */
MUST_CHECK int exec_variables_read(const struct args *a, const struct config *config,
                                   const struct exec_source *from,
                                   struct exec_variables *ret);
/* Sets them in the environment of this process. */
void exec_variables_set(const struct exec_variables *v);
void exec_variables_finish(struct exec_variables *v); /* zeroed accepted */
