/* yaml/edit.h - replace texts in a mapping of a YAML text, and no other byte
 *
 * For files that people wrote, or other programs: comments, order, quotes and indentation
 * of all else are kept.  No I/O.
 */
#pragma once

#include "base/str.h"

/* A step on the path to a value: from a mapping to the value of `key`.  With `name`, that value
 * is a list, and the step goes to its item with this "name". */
struct yaml_step {
    const char *key, *name;
};

struct yaml_edit {
    const char *key,
        *value; /* the value: printable ASCII without quotes and backslashes */
};

/* Sets the values in the mapping at the end of the steps.  Of a key given twice the last
 * one is replaced; a missing key is added before the others.  *ret is the caller's.
 * ERR_CONFIG, with a sentence: no such mapping, an empty one, a value that cannot be
 * replaced. */
MUST_CHECK enum err yaml_edit(struct str text, const struct yaml_step *steps,
                              size_t step_count, const struct yaml_edit *edits,
                              size_t edit_count, char **ret, struct diag *why);
