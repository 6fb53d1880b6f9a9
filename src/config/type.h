/* config/type.h - the types that settings have: text to value, value to text
 *
 * Private to config/.  A type knows nothing of files, flags or rows' names.
 */
#pragma once

#include "config/setting.h"

struct setting_type {
    const char *argument;       /* what stands for a value in help; NULL: a boolean */
    const char *const *choices; /* of an enumeration, NULL at its end */
    const char *expected;       /* of a number: "a duration like ..." */

    /* `text` is not empty and `field` is zeroed; of a list it is one element, to be added
     * to what is there.  ERR_CONFIG leaves `field` as it was. */
    enum err (*parse)(const struct setting *s, struct str text, void *field,
                      struct diag *why);
    char *(*print)(const struct setting *s, const void *field); /* owned by the caller */
    void (*format)(uint64_t value, char out[static 32]);        /* of a number */
    void (*clear)(void *field); /* NULL: owns nothing; the caller zeroes the field */
    size_t size;                /* of the field */
    bool list;                  /* commas separate elements */
};

/* type_BOOL and so on: one for each first column of the table.  More than one row may use
 * a type, so each is declared by name. */
extern const struct setting_type type_ALIAS_LIST, type_AUTO_BOOL, type_AUTO_COUNT,
    type_AUTO_DURATION, type_AUTO_SIZE, type_BOOL, type_TRANSPORT, type_CLIENT_LIST,
    type_CONTEXT_LIST, type_COUNT, type_DISCOVERY, type_DOMAIN, type_DURATION,
    type_EXPOSE_LIST, type_FILE, type_HOST_LIST, type_LABEL, type_LABEL_LIST, type_LEVELS,
    type_LISTEN_LIST, type_LOG_FORMAT, type_ORIGIN_LIST, type_PORT, type_SIZE,
    type_UPSTREAM;

#define FIELD_SIZE_OF(field) sizeof(((struct config *)0)->field)
#define EXPECTED_LABEL "a namespace: up to 63 of a-z, 0-9 and \"-\""

/* Without control characters? */
bool is_printable_text(struct str text);

/* "..." is not `expected`: ERR_CONFIG.  Every complaint begins with the value; the caller
 * puts where it stood before it. */
enum err value_is_not(struct diag *why, struct str text, const char *expected);
