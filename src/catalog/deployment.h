/* catalog/deployment.h - a Deployment, read as a service of its pods
 *
 * Pure: from parsed JSON to the same struct that a Service becomes, so that its pods are
 * matched, checked and named like those of a service.  Its ports are the container ports of
 * the pod template.
 */
#pragma once

#include "catalog/objects.h"

/* *ret is the caller's and written only on OK.  ERR_PROTO: a field is invalid, or the selector
 * is empty. */
MUST_CHECK enum err deployment_parse(const json_t *object, struct service_spec **ret,
                                     struct diag *why);

/* Was this pod made by the Deployment?  For users that may not read Deployments: a pod's
 * ReplicaSet is named after the Deployment and the hash of the template. */
bool deployment_made(const char *deployment, const json_t *pod);
/* The Deployment, with the fields that can be derived from one of its pods. */
struct service_spec *deployment_from_pod(const char *ns, const char *name,
                                         const json_t *pod);
