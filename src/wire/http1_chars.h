/* wire/http1_chars.h - the character classes of HTTP/1.1, private to wire/http1*.c
 *
 * One table, looked up by byte, so that heads and trailers are read by the same rules.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { HTTP1_TEXT = 1, HTTP1_TOKEN = 2 };

extern const uint8_t http1_class[256];

/* RFC 9110, section 5.6.2: what methods and field names are made of. */
static inline bool is_token_char(char c)
{
    return http1_class[(uint8_t)c] & HTTP1_TOKEN;
}

/* RFC 9110, section 5.5: what field values are made of, blanks and obs-text included. */
static inline bool is_text_char(char c)
{
    return http1_class[(uint8_t)c] & HTTP1_TEXT;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}
