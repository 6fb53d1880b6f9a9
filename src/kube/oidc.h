/* kube/oidc.h - the auth-provider "oidc": an id-token, which is refreshed when it expires
 *
 * As client-go has it: the id-token of the kubeconfig is used until ten seconds before it
 * expires; then the refresh-token is exchanged at the provider's token endpoint, which its
 * discovery document names, and the new tokens are written into the kubeconfig
 * (kube/kubeconfig_write.h).  Before that the kubeconfig is read again: kubectl may have
 * exchanged the refresh-token already, and some providers accept each one only once.
 */
#pragma once

#include "kube/renewal.h"
#include "kube/target.h"
#include "net/loop.h"
#include "net/transfer.h"

struct oidc;

/* Is the entry in the kubeconfig complete?  ERR_CONFIG; and for the other providers, which
 * kubectl does not support any more either, what to use instead. */
MUST_CHECK enum err auth_provider_check(const struct kc_user *user, struct diag *why);

/* A reference to that of the target's user, which was checked.  Contexts with the same user
 * of the same file share it, and so each refresh-token is used once.  `among`: all there
 * are; borrowed. */
struct oidc *oidc_get(struct loop *l, struct list_node *among,
                      const struct kube_target *target);
void oidc_unref(struct oidc *o); /* NULL accepted */

/* See exec_plugin_want and its neighbours. */
MUST_CHECK enum err oidc_want(struct oidc *o, uint64_t refused,
                              struct credentials_want *w, const struct secret **ret,
                              uint64_t *ret_generation, struct diag *why);
/* The kubeconfig was written: take over an id-token that is new in it. */
void oidc_on_kubeconfig(struct oidc *o);
void oidc_reject(struct oidc *o, uint64_t generation);
bool oidc_is_missing(const struct oidc *o, uint64_t refused, struct diag *why);
