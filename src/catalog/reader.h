/* catalog/reader.h - reads the fields of a JSON object and remembers what was wrong
 *
 * A parser reads its fields one by one and checks once, at its end, whether all were valid.
 * Private to catalog/.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define TEXT_MAX 1024

struct reader {
    const char *wrong; /* the first field whose type was wrong; NULL: none */
};

/* NULL when it is missing or null. */
const json_t *field(const json_t *o, const char *key);
const json_t *object_at(struct reader *r, const json_t *o, const char *key);
const json_t *array_at(struct reader *r, const json_t *o, const char *key);
/* Borrowed from the object; NULL when missing. */
const char *text_at(struct reader *r, const json_t *o, const char *key);
const char *text_or_empty(struct reader *r, const json_t *o, const char *key);
bool flag_at(struct reader *r, const json_t *o, const char *key, bool missing);
bool text_is(struct reader *r, const json_t *o, const char *key, const char *value);
uint16_t port_at(struct reader *r, const json_t *o, const char *key); /* 0: missing */
bool is_tcp(struct reader *r, const json_t *port);
/* How many elements are read; the others are counted in *ret_left_out. */
size_t count_of(const json_t *array, size_t max, size_t *ret_left_out);
uint64_t version_of(struct reader *r, const json_t *metadata); /* a hash; 0: none */
/* Is this a `what` with a name, all of whose fields are what they should be? */
MUST_CHECK enum err verdict(const struct reader *r, const char *what, const char *name,
                            struct diag *why);
