/* wire/json_items.h - split a JSON stream into objects without parsing it as a whole
 *
 * Two inputs: a Kubernetes List, of which each element of the top-level array "items" and
 * the object "metadata" are returned; and a watch, a sequence of top-level objects with
 * white space between them.  The splitter only finds where an object begins and ends (it
 * reads strings, escapes and nesting); the caller parses the piece, which checks its
 * syntax. Memory is bounded by the largest single object: the caller's limit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum json_items_mode {
    JSON_LIST,  /* one object; emit the elements of .items and the value of .metadata */
    JSON_WATCH, /* objects one after the other; emit each */
};

enum json_piece {
    JSON_ITEM,     /* an element of .items, or one whole object of a watch */
    JSON_METADATA, /* the list's own metadata (resourceVersion, continue) */
};

struct json_items;

struct json_items *json_items_create(enum json_items_mode mode, size_t object_max);
void json_items_destroy(struct json_items *c); /* NULL accepted */

/* Feed bytes; take them all (the unfinished object is kept inside).
 * ERR_PROTO: cannot be JSON of this shape.  ERR_LIMIT: one object is over object_max. */
MUST_CHECK enum err json_items_feed(struct json_items *c, const char *in, size_t len);

/* The next finished piece.  *ret_text is valid until the next call with this splitter.
 * OK, or ERR_AGAIN: feed more. */
MUST_CHECK enum err json_items_next(struct json_items *c, enum json_piece *ret_kind,
                                    struct str *ret_text);

/* May the input end here (list: after the closing brace; watch: between objects)? */
bool json_items_complete(const struct json_items *c);
