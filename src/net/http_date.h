/* net/http_date.h - dates of HTTP fields, read by curl */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* "Sun, 29 Nov 2026 13:00:00 GMT" in seconds since 1970.  ERR_PROTO: it is no date. */
MUST_CHECK enum err http_date_parse(const char *text, int64_t *ret);
