/* base/json_text.c - JSON as text, written at once */
#include "base/json_text.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/own.h"
#include "base/utf8.h"

#define ESCAPED_MAX 12 /* bytes that one character takes at most: a surrogate pair */

char *json_out_reserve(struct json_out *o, size_t n)
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
        memcpy(json_out_reserve(o, text.len), text.at, text.len);
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

#define ONES 0x0101010101010101ull

/* Has one of these eight bytes to be escaped?  A false alarm is harmless.  In each byte below
 * 0x80 the highest bit of these differences is set only if it is the one in question. */
static bool any_special(uint64_t x)
{
    uint64_t quote = (x ^ (ONES * '"')) - ONES, slash = (x ^ (ONES * '\\')) - ONES;
    uint64_t control = x - ONES * ' ', high = x | (x + ONES); /* 0x7f and above */

    return (quote | slash | control | high) & (ONES * 0x80);
}

static char *put_one(char *to, struct str text, size_t *at)
{
    char room[ESCAPED_MAX + 1];
    size_t used;

    if (is_plain(text.at[*at])) {
        *to = text.at[(*at)++];
        return to + 1;
    }
    size_t n = escape(text.at + *at, text.len - *at, room, &used);
    memcpy(to, room, n);
    *at += used;
    return to + n;
}

typedef uint8_t sixteen_bytes __attribute__((vector_size(16)));

static bool put_sixteen(char *to, const char *from)
{
    sixteen_bytes x, special;
    uint64_t halves[2];

    memcpy(&x, from, sizeof(x));
    memcpy(to, &x, sizeof(x));
    special = (sixteen_bytes)((x - ' ' > 0x7e - ' ') | (x == '"') | (x == '\\'));
    memcpy(halves, &special, sizeof(halves));
    return !(halves[0] | halves[1]);
}

static bool put_eight(char *to, const char *from)
{
    uint64_t eight;

    memcpy(&eight, from, sizeof(eight));
    memcpy(to, &eight, sizeof(eight));
    return !any_special(eight);
}

static bool put_four(char *to, const char *from)
{
    uint32_t four;

    memcpy(&four, from, sizeof(four));
    memcpy(to, &four, sizeof(four));
    return !any_special(four | (ONES << 32) * ' ');
}

/* Copies a text of one to three bytes: its first, middle and last byte, some of them twice.  False:
 * one of them has to be escaped. */
static bool put_few(char *to, struct str text)
{
    uint64_t first = (uint8_t)text.at[0], middle = (uint8_t)text.at[text.len / 2],
             last = (uint8_t)text.at[text.len - 1];

    to[0] = (char)first;
    to[text.len / 2] = (char)middle;
    to[text.len - 1] = (char)last;
    return !any_special(first | middle << 8 | last << 16 | (ONES << 24) * ' ');
}

/* Copies all of it, if it is plain: by 16, 8 or 4 bytes, the last ones twice where the length is
 * no multiple.  False: there is something to escape. */
static bool put_plain(char *to, struct str text)
{
    size_t n = text.len;

    if (n < 4)
        return !n || put_few(to, text);
    if (n < 8)
        return put_four(to, text.at) && put_four(to + n - 4, text.at + n - 4);
    if (n < 16)
        return put_eight(to, text.at) && put_eight(to + n - 8, text.at + n - 8);
    for (size_t at = 0; at + 16 < n; at += 16)
        if (!put_sixteen(to + at, text.at + at))
            return false;
    return put_sixteen(to + n - 16, text.at + n - 16);
}

static char *put_escaped(char *to, struct str text)
{
    size_t at = 0;

    while (at < text.len)
        to = put_one(to, text, &at);
    return to;
}

char *json_put_string(char *to, struct str text)
{
    *to++ = '"';
    to = put_plain(to, text) ? to + text.len : put_escaped(to, text);
    *to++ = '"';
    return to;
}

/* The two digits of each number below 100. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

char *json_put_number(char *to, uint64_t n)
{
    char digits[2 * JSON_NUMBER_ROOM];
    size_t at = JSON_NUMBER_ROOM;

    if (n < 10) {
        *to = (char)('0' + n);
        return to + 1;
    }
    if (n < 100) {
        memcpy(to, pairs + n * 2, 2);
        return to + 2;
    }
    for (; n >= 100; n /= 100)
        memcpy(digits + (at -= 2), pairs + n % 100 * 2, 2);
    if (n >= 10)
        memcpy(digits + (at -= 2), pairs + n * 2, 2);
    else
        digits[--at] = (char)('0' + n);
    memcpy(to, digits + at,
           JSON_NUMBER_ROOM); /* of a fixed length, so that it is quick */
    return to + (JSON_NUMBER_ROOM - at);
}

void json_out_string(struct json_out *o, struct str text)
{
    char *to = json_out_reserve(o, JSON_STRING_ROOM(text.len));

    o->len += (size_t)(json_put_string(to, text) - to);
}

void json_out_number(struct json_out *o, uint64_t n)
{
    char *to = json_out_reserve(o, JSON_NUMBER_ROOM);

    o->len += (size_t)(json_put_number(to, n) - to);
}

void json_out_base64(struct json_out *o, struct str bytes)
{
    AUTO_FREE char *text = base64_encode(bytes);

    json_out_raw(o, STR("\""));
    json_out_raw(o, str_of(text));
    json_out_raw(o, STR("\""));
}
