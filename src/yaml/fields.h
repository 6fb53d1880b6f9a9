/* yaml/fields.h - mappings into structs, by tables of fields
 *
 *     static const struct yaml_field fields[] = {
 *         { "server", offsetof(struct cluster, server), &yaml_text },
 *         { NULL },
 *     };
 *
 * Keys without a row are skipped.  An absent value, null and an empty text are the same:
 * the field stays zero.  A key given twice counts once, the last time, with a warning.
 */
#pragma once

#include "base/texts.h"
#include "yaml/cursor.h"

#define YAML_FIELDS_MAX 64

struct yaml_field;

/* How a field is read, with the value's first event at hand (the last one afterwards), and
 * how what it holds is freed and zeroed.  `at` is the struct plus the field's offset. */
struct yaml_type {
    enum err (*read)(struct yaml_cursor *c, const struct yaml_field *f, void *at);
    void (*clear)(const struct yaml_field *f, void *at);
    void (*copy)(const struct yaml_field *f, void *to,
                 const void *from); /* to a zeroed one */
};

struct yaml_field {
    const char *key;
    size_t offset;
    const struct yaml_type *type;
    const struct yaml_field *fields; /* yaml_struct, yaml_part */
    size_t size;                     /* yaml_struct; bytes of the field for others */
};

extern const struct yaml_type yaml_text;  /* char *: NULL for nothing */
extern const struct yaml_type yaml_bool;  /* bool */
extern const struct yaml_type yaml_texts; /* struct texts, from a list */
extern const struct yaml_type yaml_pairs; /* struct text_pairs, from a mapping of texts */
extern const struct yaml_type yaml_struct; /* T *: allocated when there is a mapping */
extern const struct yaml_type yaml_part; /* the fields of the same struct, in a mapping */

/* With a mapping's first event at hand. */
MUST_CHECK enum err yaml_read_fields(struct yaml_cursor *c,
                                     const struct yaml_field *fields, void *into);
void yaml_clear_fields(const struct yaml_field *fields, void *from);
/* Into a zeroed struct. */
void yaml_copy_fields(const struct yaml_field *fields, void *into, const void *from);

/* For types of one's own: `read` for each entry of a list or a mapping (kind: YAML_LIST or
 * YAML_MAP), with the entry's first event at hand, for a mapping its key; null has none. */
MUST_CHECK enum err yaml_read_each(struct yaml_cursor *c, enum yaml_kind kind,
                                   enum err (*read)(struct yaml_cursor *c, void *at),
                                   void *at);
/* Likewise: the text at hand, or *ret NULL for nothing.  Never with a NUL. */
MUST_CHECK enum err yaml_read_text(struct yaml_cursor *c, char **ret);
/* Is the value at hand a mapping (a list)?  *ret false: it is null, and that was all of it;
 * anything else is refused. */
MUST_CHECK enum err yaml_expect(struct yaml_cursor *c, enum yaml_kind kind, bool *ret);
void yaml_pairs_add(struct text_pairs *p, char *name, char *value); /* taken over */
