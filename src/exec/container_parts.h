/* exec/container_parts.h - a container in a pod or in the template of a workload
 *
 * Private to exec/ and its callers through exec/container.h.
 */
#pragma once

#include <jansson.h>

#include "base/str.h"

struct container_parts {
    const json_t *pod;       /* a Pod, or the template of a workload */
    const json_t *container; /* of it */
    bool is_running;         /* it is a Pod: what only a pod knows is known */
    const char *ns;
    const json_t *config_maps, *secrets; /* objects by name; those that were not found are
                                            not in it */
    bool with_secrets;
};

/* The Pod itself, or the pod template in a Deployment, Job, ...  NULL: it has none. */
const json_t *container_pod(const json_t *object);
/* name NULL: the default container of kubectl, or the first.
 * ERR_NOT_FOUND: *why has the containers that there are. */
MUST_CHECK enum err container_find(const json_t *pod, const char *name,
                                   const json_t **ret, struct diag *why);
