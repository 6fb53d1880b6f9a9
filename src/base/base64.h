/* base/base64.h - base64 (RFC 4648, section 4) */
#pragma once

#include "base/str.h"

/* Blanks and line ends are skipped; anything else that is not base64, or padding that
 * does not fit, is ERR_PROTO.  *ret_text is owned by the caller and terminated, so a NUL
 * inside shows as *ret_len != strlen. */
MUST_CHECK enum err base64_decode(struct str in, char **ret_text, size_t *ret_len);

/* Padded; owned by the caller. */
char *base64_encode(struct str in);
