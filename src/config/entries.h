/* config/entries.h - a configuration file, one value at a time
 *
 *     port: 8080                  one entry
 *     listen: [ ":80", ":81" ]    two entries, both in_list
 *     tls: { a: { b: c } }        three entries, "", "a" and "b=c", all in a section
 *
 * A mapping whose values are scalars, lists of scalars or mappings of mappings of scalars.
 * Deeper nesting, a key without a value and a second document are errors.  For a key without a value the caller chooses
 * the error, because the key itself may be unknown.  Private to config/.
 */
#pragma once

#include "base/str.h"

struct entries;

struct entry {
    struct str key;
    struct str value; /* of an empty list: "" */
    unsigned line;    /* of the value, from 1 */
    bool in_list;
    bool in_section; /* of a mapping of mappings; in_list is set, too */
    bool first;      /* false for further elements of the same list */
    /* why there is no value; then this is the last entry, and `line` is the key's.  NULL:
     * there is a value */
    const char *problem;
};

/* Borrows all until it is destroyed.  Error texts begin with "name:line". */
struct entries *entries_create(const char *name, struct str text, struct diag *why);
void entries_destroy(struct entries *s); /* NULL accepted */
static inline void entries_destroyp(struct entries **s)
{
    entries_destroy(*s);
}

/* OK          *ret is the next entry; its texts are valid until the next call
 * ERR_EOF     there are no more
 * ERR_CONFIG, ERR_LIMIT  *why has the error and its place; do not call again */
MUST_CHECK enum err entries_next(struct entries *s, struct entry *ret);
