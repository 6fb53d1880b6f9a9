#include "base/utf8.h"

#include <string.h>

size_t utf8_length(const char *at, size_t len)
{
    const unsigned char *u = (const unsigned char *)at;
    size_t n = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

    if (u[0] > 0xf4 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool surrogate = u[0] == 0xed && u[1] > 0x9f;
    bool too_large = u[0] == 0xf4 && u[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : n;
}

uint32_t utf8_code_point(const char *at, size_t len)
{
    const unsigned char *u = (const unsigned char *)at;

    if (len == 1)
        return u[0];
    if (len == 2)
        return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
}

bool utf8_is_control(const char *at, size_t len)
{
    if (len > 3)
        return false;
    uint32_t c = utf8_code_point(at, len);
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e ||
           c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void text_make_printable(char *text, bool lines)
{
    const char *from = text, *end = text + strlen(text);
    char *to = text;

    while (from < end) {
        size_t n = utf8_length(from, (size_t)(end - from));
        char c = *from;
        if (n && (!utf8_is_control(from, n) || (lines && c == '\n'))) {
            memmove(to, from, n);
            to += n;
        } else {
            *to++ = c == '\n' || c == '\r' || c == '\t' ? ' ' : '?';
        }
        from += n ? n : 1;
    }
    *to = '\0';
}
