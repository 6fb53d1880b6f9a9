/* exec/variables.h - the variables of a container, in the order in which they were set
 *
 * The author of a Deployment may be hostile: names and values are checked, and what expansion
 * can make of them is bounded.
 */
#pragma once

#include <stdbool.h>

#include "base/map.h"
#include "base/str.h"

#define VARIABLES_MAX 10000
#define VALUE_MAX ((size_t)128 << 10)     /* as execve(2) has it */
#define VARIABLES_BYTES ((size_t)2 << 20) /* of all values */

/* Why a variable is left out. */
enum omission {
    OMITTED_NOT,
    OMITTED_SECRET,  /* its value, or a part of it, is of a Secret */
    OMITTED_UNKNOWN, /* only a running pod has the value */
    OMITTED_NAME,    /* a program could be made to run something by it */
    OMITTED_INVALID, /* no name or value that a variable can have */
    OMISSION_COUNT,
};

struct variable {
    char *name, *value; /* value: NULL if it is left out */
    enum omission omitted;
};

struct variables {
    struct variable **at;
    size_t count;
    size_t bytes;
    struct map by_name;
};

void variables_init(struct variables *v);
void variables_finish(struct variables *v);

/* Sets a variable, or replaces its value; it keeps its place.  value: NULL if it is omitted.
 * A value with NUL or of more than VALUE_MAX bytes makes it OMITTED_INVALID.
 * ERR_LIMIT: there are too many, or they are too large. */
MUST_CHECK enum err variables_set(struct variables *v, struct str name, struct str value,
                                  enum omission omitted, struct diag *why);
const struct variable *variables_get(const struct variables *v, struct str name);

/* $(NAME) becomes the value of a variable that is set, "$$" becomes "$", anything else stays.
 * Owned by the caller; cut at VALUE_MAX + 1 bytes.  *ret_omitted: a variable in it is. */
char *variables_expand(const struct variables *v, struct str text,
                       enum omission *ret_omitted, size_t *ret_len);

/* Letters, digits, "_", "-" and ".", not a digit first. */
bool variable_is_name(struct str name);
