/* kube/exec_plugin.h - exec plugins: programs that print a credential
 *
 * As client-go runs them: the environment is ours with the kubeconfig's additions and
 * KUBERNETES_EXEC_INFO; standard output is an ExecCredential; standard error is logged line by
 * line, and its last lines become the error.  One plugin at a time may use the terminal, if its
 * interactiveMode allows that and kube-tunnel runs in the foreground of one.
 *
 * Contexts whose plugins have the same command, arguments, environment and cluster
 * information share one: struct exec_plugins is the table, one per loop.  It has the OIDC
 * providers (kube/oidc.h), which are shared likewise, too.
 */
#pragma once

#include "kube/renewal.h"
#include "kube/target.h"
#include "net/loop.h"

struct kc_exec;
struct kc_user;
struct exec_plugins;
struct exec_plugin;

struct exec_settings {
    uint64_t run_ms;      /* a run is stopped after this long ... */
    uint64_t terminal_ms; /* ... and one that has the terminal after this long */
    bool
        shown; /* for interactive commands: do not log the plugin's standard error, show it */
    bool no_terminal; /* no run gets the terminal, whatever its interactiveMode */
};

struct exec_plugins *exec_plugins_create(struct loop *l, const struct exec_settings *s);
/* Of runs from now on. */
void exec_plugins_configure(struct exec_plugins *ps, const struct exec_settings *s);
void exec_plugins_destroy(struct exec_plugins *ps); /* after its plugins; NULL accepted */

/* struct oidc; for kube/oidc.c. */
struct list_node *exec_plugins_providers(struct exec_plugins *ps);

/* Is the plugin's entry in the kubeconfig complete, and (used) of a version that can be run?
 * ERR_CONFIG. */
MUST_CHECK enum err exec_plugin_check(const struct kc_exec *exec, bool used,
                                      struct diag *why);

/* A reference to the plugin of the target's user, which was checked. */
struct exec_plugin *exec_plugin_get(struct exec_plugins *ps,
                                    const struct kube_target *target);
/* Dropping the last reference stops a run; NULL accepted. */
void exec_plugin_unref(struct exec_plugin *p);

/* As credentials_get; *ret is borrowed until the next turn.  refused: the generation that the
 * caller's own API server has not accepted, or 0. */
MUST_CHECK enum err exec_plugin_want(struct exec_plugin *p, uint64_t refused,
                                     struct credentials_want *w,
                                     const struct secret **ret, uint64_t *ret_generation,
                                     struct diag *why);
void exec_plugin_reject(struct exec_plugin *p, uint64_t generation);
/* As credentials_are_missing. */
bool exec_plugin_is_missing(const struct exec_plugin *p, uint64_t refused,
                            struct diag *why);
/* What the last run has written, if it failed: lines, borrowed until the next turn; or NULL. */
const char *exec_plugin_output(const struct exec_plugin *p);
/* May a run prompt at the terminal?  False if the last run has succeeded without input. */
bool exec_plugin_is_interactive(const struct exec_plugin *p);
