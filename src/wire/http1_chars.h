/* wire/http1_chars.h - the character classes of HTTP/1.1, and scans over bytes of a class
 *
 * One table, looked up by byte, so that heads and trailers are read by the same rules.  Each scan
 * takes the bytes from `at` up to `end` and returns where the class ends; targets and values are
 * scanned eight bytes at a time.  For wire/http1*.c, and for
 * otlp/pairs.c, which checks names and values of header fields.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

static inline const char *after_token(const char *at, const char *end)
{
    while (at < end && is_token_char(*at))
        at++;
    return at;
}

#define HTTP1_EVERY_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Is any of the eight bytes at `at` below `lowest` (at most 0x80), or DEL?  A subtraction
 * on eight bytes at once: the result is exact, but not which byte it is. */
static inline bool any_control(const char *at, uint8_t lowest)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    uint64_t below = (word - HTTP1_EVERY_BYTE(lowest)) & ~word;
    uint64_t no_del = word ^ HTTP1_EVERY_BYTE(0x7f);
    uint64_t del = (no_del - HTTP1_EVERY_BYTE(0x01)) & ~no_del;
    return ((below | del) & HTTP1_EVERY_BYTE(0x80)) != 0;
}

/* After the bytes from `lowest` on, but for DEL. */
static inline const char *after_printable(const char *at, const char *end, uint8_t lowest)
{
    while (end - at >= 8 && !any_control(at, lowest))
        at += 8;
    while (at < end && (uint8_t)*at >= lowest && *at != 0x7f)
        at++;
    return at;
}

/* After what a field value may be made of. */
static inline const char *after_value(const char *at, const char *end)
{
    at = after_printable(at, end, ' ');
    while (at < end && *at == '\t')
        at = after_printable(at + 1, end, ' ');
    return at;
}

static inline const char *after_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}
