/* otlp/pairs.h - NAME=VALUE,NAME=VALUE as OpenTelemetry's environment variables have them
 *
 * Names and values are percent-decoded; spaces around them, and empty elements, are ignored.
 * Private to otlp/, pure.
 */
#pragma once

#include "base/str.h"

#define PAIRS_MAX 64
#define PAIRS_LENGTH_MAX (16u << 10)

struct pair {
    char *name, *value; /* owned, without a NUL in them */
};

struct pair_list {
    struct pair *at;
    size_t count;
};

/* ERR_CONFIG: *why names the element by its number and never has a part of it, which may be a
 * password; *ret is empty. */
MUST_CHECK enum err pairs_parse(struct str text, struct pair_list *ret, struct diag *why);
void pairs_finish(struct pair_list *l);
/* The last value of that name; NULL: there is none. */
const char *pairs_find(const struct pair_list *l, const char *name);

/* Can they be header fields of a request, beside those that it has itself?  ERR_CONFIG, as
 * above. */
MUST_CHECK enum err pairs_check_headers(const struct pair_list *l, struct diag *why);
