/* config/type.h - the types that settings have: text to value, value to text
 *
 * Private to config/.  A type does not depend on files, flags or names of settings.
 */
#pragma once

#include "config/setting.h"

struct setting_type {
    /* the placeholder of the value in help; NULL: a boolean */
    const char *argument;
    const char *const *choices; /* of an enumeration; ends with NULL */
    const char *expected;       /* of a number: "a duration like ..." */

    /* `text` is not empty and `field` is zeroed; for a list it is one element, which is
     * added to the list.  ERR_CONFIG leaves `field` as it was. */
    enum err (*parse)(const struct setting *s, struct str text, void *field,
                      struct diag *why);
    char *(*print)(const struct setting *s, const void *field); /* owned by the caller */
    void (*format)(uint64_t value, char out[static 32]);        /* of a number */
    /* NULL: the value owns no memory; the caller zeroes the field */
    void (*clear)(void *field);
    size_t size; /* of the field */
    bool list;   /* commas separate elements */
    /* of a list: a file may have a mapping of mappings in its place: "a: { b: c }" stands for
     * the elements "a" and "b=c" */
    bool sections;
};

/* type_BOOL and so on: one for each first column of the table.  More than one row may use
 * a type, so each is declared by name. */
extern const struct setting_type type_ACCESS_FORMAT, type_ALIAS_LIST, type_AUTO_BOOL,
    type_AUTO_COUNT, type_AUTO_DURATION, type_AUTO_SIZE, type_BOOL, type_TRANSPORT,
    type_CLIENT_LIST, type_CONTEXT_LIST, type_COUNT, type_DISCOVERY, type_DNS_SERVER,
    type_DOMAIN, type_DURATION, type_EXPOSE_LIST, type_FILE, type_FILE_LIST,
    type_HOST_LIST, type_INSTANCE, type_LABEL, type_LABEL_LIST, type_LEVELS,
    type_LISTEN_LIST, type_LOG_FORMAT, type_ORIGIN_LIST, type_OTLP, type_PORT,
    type_PORT_LIST, type_SIZE, type_TLS_LIST, type_UPSTREAM;

#define FIELD_SIZE_OF(field) sizeof(((struct config *)0)->field)
#define EXPECTED_LABEL "a namespace: up to 63 of a-z, 0-9 and \"-\""

/* Is it text without control characters? */
bool is_printable_text(struct str text);

/* Returns ERR_CONFIG with the text: "..." is not `expected`.  Every error text begins
 * with the value; the caller puts the place before it. */
enum err value_is_not(struct diag *why, struct str text, const char *expected);
