/* base/rfc3339.h - points in time as texts: 2026-11-29T06:20:57Z */
#pragma once

#include "base/str.h"

/* ms since 1970; a fraction and a zone other than Z are accepted, as Go's time.RFC3339
 * does.  Leap seconds are not accepted.  ERR_PROTO: text is not a valid time. */
MUST_CHECK enum err rfc3339_parse(struct str text, int64_t *ret_ms);

#define RFC3339_ROOM 32
/* To the second, in UTC; for years from 0 to 9999. */
void rfc3339_write(int64_t ms, char out[static RFC3339_ROOM]);

int64_t wall_clock_ms(void); /* since 1970 */
