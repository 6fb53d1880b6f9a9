/* exec/container_fields.h - valueFrom: fields of a pod, and amounts of resources
 *
 * Private to exec/.
 */
#pragma once

#include "exec/container_parts.h"

/* from: {"fieldRef": ...} or {"resourceFieldRef": ...}.  *ret is owned by the caller.
 * False: only a running pod has it, or it is of another kind. */
bool container_field(const struct container_parts *c, const json_t *from, char **ret);
