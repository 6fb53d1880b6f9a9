/* playground/api/selector.h - label and field selectors of lists and watches
 *
 * "app=web,tier in (a, b),!old": all requirements must match.  Of field selectors only
 * metadata.name and metadata.namespace are supported; others are refused, as by the real
 * API.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"

#define SELECTOR_REQUIREMENTS 16
#define SELECTOR_VALUES 16

enum selector_op { SELECT_EXISTS, SELECT_MISSING, SELECT_IN, SELECT_NOT_IN };

struct requirement {
    enum selector_op op;
    struct str key;
    struct str values[SELECTOR_VALUES];
    size_t count;
};

struct selector {
    struct requirement requirements[SELECTOR_REQUIREMENTS];
    size_t count;
};

/* Views point into text.  ERR_PROTO: not a selector.  ERR_LIMIT: too long a one. */
MUST_CHECK enum err selector_parse(struct str text, struct selector *ret);
bool selector_matches_labels(const struct selector *s, const json_t *object);
/* ERR_PROTO: a field that cannot be selected by. */
MUST_CHECK enum err selector_check_fields(const struct selector *s);
bool selector_matches_fields(const struct selector *s, const json_t *object);
