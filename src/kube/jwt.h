/* kube/jwt.h - what a JSON Web Token says of itself; its signature is the server's to check */
#pragma once

#include <stdint.h>

#include "base/str.h"

/* When it expires, in ms since 1970.  ERR_PROTO: it is no JWT, or does not say. */
MUST_CHECK enum err jwt_expiry(struct str token, int64_t *ret_ms);
