/* exec/container.h - the variables that a container of a workload or pod would have
 *
 * As the kubelet makes them: envFrom first, in its order, then env in its order, each of
 * which replaces what was there and may refer to what was set before.  Pure: the objects were
 * read before.  The variables of services (WEB_SERVICE_HOST) and those of the image are not
 * among them.
 */
#pragma once

#include "base/texts.h"
#include "exec/container_parts.h"
#include "exec/variables.h"

/* The names of objects that its variables come from, each once. */
void container_references(const json_t *container, struct texts *config_maps,
                          struct texts *secrets);
/* ERR_NOT_FOUND: an object or a key that is not optional is missing, so that the container
 * could not start either.  ERR_LIMIT. */
MUST_CHECK enum err container_variables(const struct container_parts *c,
                                        struct variables *ret, struct diag *why);
