/* base/json_text.h - JSON as text, written at once
 *
 * For lines that are written thousands of times a second: no values are built, and a struct
 * keeps its memory for the next line.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct json_out {
    char *at;
    size_t len, room;
};

void json_out_finish(struct json_out *o);
static inline void json_out_clear(struct json_out *o)
{
    o->len = 0;
}

/* Text as it stands: punctuation and keys. */
void json_out_raw(struct json_out *o, struct str text);
/* A string with its quotes, in ASCII: other characters, and bytes that are no UTF-8, are
 * escaped or replaced, so that the line is safe on a terminal. */
void json_out_string(struct json_out *o, struct str text);
void json_out_number(struct json_out *o, uint64_t n);
void json_out_base64(struct json_out *o, struct str bytes);

/* Room for n bytes more, which the caller writes there, and adds to o->len. */
char *json_out_reserve(struct json_out *o, size_t n);
/* The same as above into room that there is; return where it ends. */
#define JSON_STRING_ROOM(length) ((length)*12 + 10)
#define JSON_NUMBER_ROOM 24
char *json_put_string(char *to, struct str text);
char *json_put_number(char *to, uint64_t n);
#define json_put(to, literal)                                                            \
    (memcpy((to), "" literal, sizeof(literal) - 1), (to) + sizeof(literal) - 1)

/* ,"key":value - `key` is a literal. */
#define json_out_field(o, key, s)                                                        \
    (json_out_raw((o), STR(",\"" key "\":")), json_out_string((o), (s)))
#define json_out_count(o, key, n)                                                        \
    (json_out_raw((o), STR(",\"" key "\":")), json_out_number((o), (n)))
