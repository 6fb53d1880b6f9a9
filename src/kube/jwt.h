/* kube/jwt.h - when a JSON Web Token expires; its signature is the server's to check */
#pragma once

#include <stdint.h>

#include "base/str.h"

/* When it expires, in ms since 1970.  ERR_PROTO: it is no JWT, or has no exp. */
MUST_CHECK enum err jwt_expiry(struct str token, int64_t *ret_ms);
