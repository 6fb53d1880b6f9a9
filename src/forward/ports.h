/* forward/ports.h - from the ports that a person names to those of the pod
 *
 * A port of a Service is translated to its targetPort, a name to a number, as kubectl does it:
 * a headless Service's port is that of the pod.  Pure; the errors are kubectl's sentences.
 */
#pragma once

#include <jansson.h>

#include "forward/spec.h"

struct forward_pair {
    uint16_t local; /* 0: any */
    uint16_t remote;
};

/* service: NULL for other targets.  ret has room for all ports, and is written on OK
 * only. */
MUST_CHECK enum err ports_translate(const struct forward_spec *spec,
                                    const json_t *service, const json_t *pod,
                                    struct forward_pair *ret, struct diag *why);
