/* catalog/deployment.h - a Deployment, read as a service of its pods
 *
 * Pure: from parsed JSON to the same struct that a Service becomes, so that its pods are
 * matched, judged and named like those of a service.  Its ports are the container ports of
 * the pod template.
 */
#pragma once

#include "catalog/objects.h"

/* *ret is the caller's and written only on OK.  ERR_PROTO: a field is not what it should
 * be, or the selector is empty. */
MUST_CHECK enum err deployment_parse(const json_t *object, struct service_spec **ret,
                                     struct diag *why);

/* Where Deployments may not be read, the pods show it: the ReplicaSet that made them is named
 * after Deployment and template. */
bool deployment_made(const char *deployment, const json_t *pod);
/* The Deployment as far as one of its pods shows it. */
struct service_spec *deployment_from_pod(const char *ns, const char *name,
                                         const json_t *pod);
