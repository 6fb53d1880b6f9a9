/* yaml/fields.h - read mappings into structs, by tables of fields
 *
 *     static const struct yaml_field fields[] = {
 *         { "server", offsetof(struct cluster, server), &yaml_text },
 *         { NULL },
 *     };
 *
 * Keys without a row are skipped.  An absent value, null and an empty text are the same:
 * the field stays zero.  Of a key given twice the last one counts, with a warning.
 */
#pragma once

#include "base/texts.h"
#include "yaml/cursor.h"

#define YAML_FIELDS_MAX 64

struct yaml_field;

/* How a field is read (before: the current event is the value's first one; after: its
 * last one), and how its value is freed and zeroed.  `at` is the struct plus the field's
 * offset. */
struct yaml_type {
    enum err (*read)(struct yaml_cursor *c, const struct yaml_field *f, void *at);
    void (*clear)(const struct yaml_field *f, void *at);
    void (*copy)(const struct yaml_field *f, void *to,
                 const void *from); /* copies to a zeroed field */
};

struct yaml_field {
    const char *key;
    size_t offset;
    const struct yaml_type *type;
    const struct yaml_field *fields; /* yaml_struct, yaml_part */
    /* yaml_struct; for other types: bytes of the field */
    size_t size;
};

extern const struct yaml_type yaml_text;  /* char *: NULL if there is no text */
extern const struct yaml_type yaml_bool;  /* bool */
extern const struct yaml_type yaml_texts; /* struct texts, from a list */
extern const struct yaml_type yaml_pairs; /* struct text_pairs, from a mapping of texts */
extern const struct yaml_type yaml_struct; /* T *: allocated when there is a mapping */
extern const struct yaml_type yaml_part; /* the fields of the same struct, in a mapping */

/* Reads a mapping; the current event must be its first one. */
MUST_CHECK enum err yaml_read_fields(struct yaml_cursor *c,
                                     const struct yaml_field *fields, void *into);
void yaml_clear_fields(const struct yaml_field *fields, void *from);
/* Copies to a zeroed struct. */
void yaml_copy_fields(const struct yaml_field *fields, void *into, const void *from);

/* For other types: calls `read` for each entry of a list or a mapping (kind: YAML_LIST or
 * YAML_MAP); the current event is then the entry's first one, for a mapping its key.
 * null has no entries. */
MUST_CHECK enum err yaml_read_each(struct yaml_cursor *c, enum yaml_kind kind,
                                   enum err (*read)(struct yaml_cursor *c, void *at),
                                   void *at);
/* For other types: the current event's text, or NULL for no text.  A text with a NUL is
 * refused. */
MUST_CHECK enum err yaml_read_text(struct yaml_cursor *c, char **ret);
/* Is the current value a mapping (a list)?  *ret is false for null, which is then read;
 * any other value is refused. */
MUST_CHECK enum err yaml_expect(struct yaml_cursor *c, enum yaml_kind kind, bool *ret);
void yaml_pairs_add(struct text_pairs *p, char *name, char *value); /* taken over */
