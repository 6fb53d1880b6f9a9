/* control/json_text.h - JSON as text, written at once
 *
 * For lines that are written thousands of times a second: no values are built, and a struct
 * keeps its memory for the next line.  Private to control/.
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

/* ,"key":value - `key` is a literal. */
#define json_out_field(o, key, s)                                                        \
    (json_out_raw((o), STR(",\"" key "\":")), json_out_string((o), (s)))
#define json_out_count(o, key, n)                                                        \
    (json_out_raw((o), STR(",\"" key "\":")), json_out_number((o), (n)))
