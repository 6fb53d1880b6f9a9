/* config/yaml_reader.h - the part of YAML that a configuration file needs, one value at a
 * time
 *
 *     port: 8080                  one entry
 *     listen: [ ":80", ":81" ]    two entries, both in_list
 *
 * A mapping whose values are scalars or lists of scalars.  Deeper nesting, aliases, a key
 * without a value and a second document are errors; of a key that has no value to lend the
 * user decides what is wrong, because the key may be.  Private to config/.
 */
#pragma once

#include "base/str.h"

struct yaml_reader;

struct yaml_entry {
    struct str key;
    struct str value; /* of an empty list: "" */
    unsigned line;    /* of the value, from 1 */
    bool in_list;
    bool first;          /* not a further element of the same list */
    const char *problem; /* there is no value, and this is why; the last entry then, and
                            `line` is the key's.  NULL: it has one */
};

/* Borrows both until it is destroyed.  Complaints begin with "name:line". */
struct yaml_reader *yaml_reader_create(const char *name, struct str text);
void yaml_reader_destroy(struct yaml_reader *r); /* NULL accepted */
static inline void yaml_reader_destroyp(struct yaml_reader **r)
{
    yaml_reader_destroy(*r);
}

/* OK          *ret is the next entry; its texts are valid until the next call
 * ERR_EOF     there are no more
 * ERR_CONFIG  *why says what is wrong and where; do not call again */
MUST_CHECK enum err yaml_reader_next(struct yaml_reader *r, struct yaml_entry *ret,
                                     struct diag *why);
