/* control/json_text.c - JSON as text, written at once */
#include "control/json_text.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/own.h"
#include "base/utf8.h"

#define ESCAPED_MAX 12 /* bytes that one character takes at most: a surrogate pair */

static char *reserve(struct json_out *o, size_t n)
{
    if (o->room - o->len < n) {
        o->room = o->room * 2 > o->len + n ? o->room * 2 : o->len + n + 512;
        o->at = xrealloc(o->at, o->room);
    }
    return o->at + o->len;
}

void json_out_finish(struct json_out *o)
{
    free(o->at);
    *o = (struct json_out){ 0 };
}

void json_out_raw(struct json_out *o, struct str text)
{
    if (text.len)
        memcpy(reserve(o, text.len), text.at, text.len);
    o->len += text.len;
}

static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* The code point of a sequence that utf8_length has measured. */
static uint32_t code_point(const char *at, size_t len)
{
    static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t c = (uint8_t)at[0] & masks[len];

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((uint8_t)at[i] & 0x3f);
    return c;
}

static size_t escape(const char *at, size_t left, char out[static ESCAPED_MAX + 1],
                     size_t *ret_used)
{
    size_t used = utf8_length(at, left);
    uint32_t c = used ? code_point(at, used) : 0xfffd;

    *ret_used = used ? used : 1;
    if (c == '"' || c == '\\')
        return (size_t)snprintf(out, ESCAPED_MAX + 1, "\\%c", (char)c);
    if (c < 0x10000)
        return (size_t)snprintf(out, ESCAPED_MAX + 1, "\\u%04x", c);
    c -= 0x10000;
    return (size_t)snprintf(out, ESCAPED_MAX + 1, "\\u%04x\\u%04x", 0xd800 + (c >> 10),
                            0xdc00 + (c & 0x3ff));
}

void json_out_string(struct json_out *o, struct str text)
{
    char *to = reserve(o, text.len * ESCAPED_MAX + 2), *begin = to;
    char room[ESCAPED_MAX + 1];

    *to++ = '"';
    for (size_t i = 0; i < text.len;) {
        if (is_plain(text.at[i])) {
            *to++ = text.at[i++];
            continue;
        }
        size_t used, n = escape(text.at + i, text.len - i, room, &used);
        memcpy(to, room, n);
        to += n;
        i += used;
    }
    *to++ = '"';
    o->len += (size_t)(to - begin);
}

void json_out_number(struct json_out *o, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    json_out_raw(o, (struct str){ digits + at, sizeof(digits) - at });
}

void json_out_base64(struct json_out *o, struct str bytes)
{
    AUTO_FREE char *text = base64_encode(bytes);

    json_out_raw(o, STR("\""));
    json_out_raw(o, str_of(text));
    json_out_raw(o, STR("\""));
}
