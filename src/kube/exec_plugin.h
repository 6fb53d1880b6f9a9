/* kube/exec_plugin.h - exec plugins: programs that print a credential
 *
 * As client-go runs them: the environment is ours with the kubeconfig's additions and
 * KUBERNETES_EXEC_INFO, standard output is an ExecCredential, standard error is for people:
 * it is logged line by line, and its last words become the error.  The terminal is lent to
 * one plugin at a time, where its interactiveMode and ours allow it: kube-tunnel is in the
 * foreground of one.
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
    bool shown; /* a command for a person: words go to standard error as they are */
};

struct exec_plugins *exec_plugins_create(struct loop *l, const struct exec_settings *s);
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
/* The last one stops a run under way; NULL accepted. */
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
const char *exec_plugin_words(const struct exec_plugin *p);
/* Would a run now prompt at the terminal?  Not one that has the terminal, but whose last success
 * took no person. */
bool exec_plugin_is_interactive(const struct exec_plugin *p);
