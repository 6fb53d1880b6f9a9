/* kube/exec_credential.h - the ExecCredential of client.authentication.k8s.io
 *
 * The input of an exec plugin in KUBERNETES_EXEC_INFO, and its output.  Pure text.
 */
#pragma once

#include <stdbool.h>

#include "kube/secret.h"
#include "kube/target.h"

#define EXEC_API_V1 "client.authentication.k8s.io/v1"
#define EXEC_API_V1BETA1 "client.authentication.k8s.io/v1beta1"
#define EXEC_API_V1ALPHA1 "client.authentication.k8s.io/v1alpha1"

/* The spec, as JSON owned by the caller.  cluster: the target's own, or NULL where the
 * plugin is to be given none. */
char *exec_credential_spec(const char *api_version, bool interactive,
                           const struct kube_target *cluster);

/* ERR_PROTO with a reason: the text is no ExecCredential, has another version, or has neither a
 * token nor a certificate with its key.  *ret is the caller's, and zeroed on failure. */
MUST_CHECK enum err exec_credential_parse(struct str text, const char *api_version,
                                          struct secret *ret, struct diag *why);
