/* kube/target_load.h - from a kubeconfig, or a pod's service account, to a target
 */
#pragma once

#include "kube/target.h"

/* Choose and load: `kubeconfig` (--kubeconfig, may be NULL), then $KUBECONFIG, then
 * ~/.kube/config, then the service account.  `context` and `ns` override (may be NULL).
 * ERR_CONFIG, ERR_NOT_FOUND, ERR_ACCESS with a sentence naming file, line and name. */
MUST_CHECK enum err kube_target_load(const char *kubeconfig, const char *context,
                                     const char *ns, struct kube_target **ret,
                                     struct diag *why);
/* The same of a kubeconfig that was loaded before; `context` NULL: the current one.  *ret
 * borrows nothing from it. */
MUST_CHECK enum err kube_target_from(const struct kubeconfig *kc, const char *context,
                                     const char *ns, struct kube_target **ret,
                                     struct diag *why);
