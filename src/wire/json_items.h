/* wire/json_items.h - cut a JSON stream into objects without building a tree of all of it
 *
 * Two inputs: a Kubernetes List, whose elements of the top-level "items" array come out
 * one by one and whose "metadata" object comes out too; and a watch, a sequence of
 * top-level objects with blanks between them.  The cutter finds where an object begins
 * and ends (strings, escapes and nesting, nothing else); the parser of the piece checks
 * its syntax. Memory is bounded by the largest single object: the caller's limit.
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

/* The next finished piece.  *ret_text is valid until the next call with this cutter.
 * OK, or ERR_AGAIN: feed more. */
MUST_CHECK enum err json_items_next(struct json_items *c, enum json_piece *ret_kind,
                                    struct str *ret_text);

/* Has the input ended at a place where it may end (list: after the closing brace; watch:
 * between objects)? */
bool json_items_complete(const struct json_items *c);
