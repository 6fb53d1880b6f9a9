/* exec/quantity.h - amounts of resources, as Kubernetes writes them: "500m", "64Mi", "1e3" */
#pragma once

#include "base/str.h"

/* In thousandths, rounded up.  ERR_PROTO: it is none, or negative; ERR_LIMIT. */
MUST_CHECK enum err quantity_parse(struct str text, uint64_t *ret_thousandths);
