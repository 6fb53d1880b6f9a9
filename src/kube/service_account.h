/* kube/service_account.h - the credentials a pod is given */
#pragma once

#include "kube/target.h"

#define SERVICE_ACCOUNT_ROOT "/var/run/secrets/kubernetes.io/serviceaccount"

/* Are we in a pod, as far as the environment shows? */
bool service_account_present(void);

/* The namespace of the pod we are in: $POD_NAMESPACE, or else the file in `root`; "default" if
 * neither does.  Owned by the caller. */
char *service_account_namespace(const char *root);

/* The API server from KUBERNETES_SERVICE_HOST and _PORT; token, ca.crt and namespace from
 * `root`.  The token stays a file: the kubelet replaces it.  ns may be NULL. */
MUST_CHECK enum err service_account_load(const char *root, const char *ns,
                                         struct kube_target **ret, struct diag *why);
