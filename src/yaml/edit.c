/* yaml/edit.c - replace texts in a mapping of a YAML text, and no other byte
 *
 * libyaml loads the document; its nodes have begin and end, in characters.  These give a
 * list of changes, from the last place in the text to the first.
 */
#include "yaml/edit.h"

#include <yaml.h>

#include "base/own.h"
#include "base/utf8.h"

#define CHANGES_MAX 8

struct change {
    size_t from, to; /* bytes of the text that are replaced */
    size_t order;    /* the order of changes at the same place */
    char *text;
};

struct editing {
    struct str text;
    yaml_document_t *document;
    struct change changes[CHANGES_MAX];
    size_t count;
    struct diag *why;
};

static void document_deletep(yaml_document_t **d)
{
    if (*d)
        yaml_document_delete(*d);
}

static bool is_scalar(const yaml_node_t *n, const char *text)
{
    return n && n->type == YAML_SCALAR_NODE &&
           str_eq(str_of(text), (struct str){ (const char *)n->data.scalar.value,
                                              n->data.scalar.length });
}

static yaml_node_t *node_at(const struct editing *e, int id)
{
    return yaml_document_get_node(e->document, id);
}

/* The last pair of that key, or NULL. */
static yaml_node_pair_t *find_pair(const struct editing *e, const yaml_node_t *mapping,
                                   const char *key)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.top;
         p-- > mapping->data.mapping.pairs.start;)
        if (is_scalar(node_at(e, p->key), key))
            return p;
    return NULL;
}

static yaml_node_t *find_value(const struct editing *e, const yaml_node_t *mapping,
                               const char *key)
{
    const yaml_node_pair_t *p = find_pair(e, mapping, key);
    return p ? node_at(e, p->value) : NULL;
}

static yaml_node_t *find_item(const struct editing *e, const yaml_node_t *list,
                              const char *name)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return NULL;
    for (yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++)
        if (is_scalar(find_value(e, node_at(e, *i), "name"), name))
            return node_at(e, *i);
    return NULL;
}

static yaml_node_t *follow(const struct editing *e, const struct yaml_step *steps,
                           size_t count)
{
    yaml_node_t *at = yaml_document_get_root_node(e->document);

    for (size_t i = 0; i < count; i++) {
        at = find_value(e, at, steps[i].key);
        if (steps[i].name)
            at = find_item(e, at, steps[i].name);
    }
    return at;
}

/* The byte offset of a character: libyaml counts characters, including a byte order
 * mark. */
static size_t byte_of(struct str text, size_t character)
{
    size_t at = 0;

    for (; character && at < text.len; character--) {
        size_t length = utf8_length(text.at + at, text.len - at);
        at += length ? length : 1;
    }
    return at;
}

static bool add_change(struct editing *e, size_t from, size_t to, char *text)
{
    if (e->count == CHANGES_MAX) {
        free(text);
        return false;
    }
    e->changes[e->count] = (struct change){ from, to, e->count, text };
    e->count++;
    return true;
}

static enum err replace(struct editing *e, const yaml_node_t *n,
                        const struct yaml_edit *edit)
{
    size_t from = byte_of(e->text, n->start_mark.index);
    size_t to = byte_of(e->text, n->end_mark.index);
    bool block = n->type == YAML_SCALAR_NODE &&
                 (n->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
                  n->data.scalar.style == YAML_FOLDED_SCALAR_STYLE);
    bool first = from == to && from > 0 &&
                 e->text.at[from - 1] == ':'; /* "key:" without a value */

    if (n->type != YAML_SCALAR_NODE || (from < to && e->text.at[from] == '&'))
        return diag_set(e->why, ERR_CONFIG, "%s is not a plain value there", edit->key);
    char *text =
        xasprintf("%s\"%s\"%s", first ? " " : "", edit->value, block ? "\n" : "");
    return add_change(e, from, to, text)
               ? OK
               : diag_set(e->why, ERR_CONFIG, "too many changes");
}

/* "? key" on a line of its own: nothing can be put in front of the key. */
static bool is_explicit(struct str text, size_t key)
{
    while (key && (text.at[key - 1] == ' ' || text.at[key - 1] == '\t'))
        key--;
    return key && text.at[key - 1] == '?';
}

/* Inserts in front of the first key, where the indentation is known. */
static enum err insert(struct editing *e, const yaml_node_t *mapping,
                       const struct yaml_edit *edit)
{
    const yaml_node_pair_t *first = mapping->data.mapping.pairs.start;

    if (first == mapping->data.mapping.pairs.top)
        return diag_set(e->why, ERR_CONFIG, "an empty mapping");
    const yaml_node_t *key = node_at(e, first->key);
    size_t at = byte_of(e->text, key->start_mark.index);
    if (is_explicit(e->text, at))
        return diag_set(e->why, ERR_CONFIG, "a key with a question mark");
    bool flow = mapping->data.mapping.style == YAML_FLOW_MAPPING_STYLE;
    int indent = (int)key->start_mark.column;
    char *text = flow ? xasprintf("\"%s\": \"%s\", ", edit->key, edit->value)
                      : xasprintf("%s: \"%s\"\n%*s", edit->key, edit->value, indent, "");
    return add_change(e, at, at, text) ? OK
                                       : diag_set(e->why, ERR_CONFIG, "too many changes");
}

static enum err check_value(const struct yaml_edit *edit, struct diag *why)
{
    for (const char *c = edit->value; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            return diag_set(why, ERR_CONFIG, "%s has characters that cannot be written",
                            edit->key);
    return OK;
}

static enum err edit_mapping(struct editing *e, const yaml_node_t *mapping,
                             const struct yaml_edit *edits, size_t count)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE)
        return diag_set(e->why, ERR_CONFIG, "it has no such entry any more");
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *value = find_value(e, mapping, edits[i].key);
        enum err failed = check_value(&edits[i], e->why);
        if (!failed)
            failed = value ? replace(e, value, &edits[i]) : insert(e, mapping, &edits[i]);
        if (failed)
            return failed;
    }
    return OK;
}

static int by_place(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static char *apply(struct editing *e)
{
    char *text = xstrdup("");
    size_t at = 0;

    qsort(e->changes, e->count, sizeof(*e->changes), by_place);
    for (size_t i = 0; i < e->count; i++) {
        const struct change *c = &e->changes[i];
        AUTO_FREE char *before = text;
        text =
            xasprintf("%s%.*s%s", before, (int)(c->from - at), e->text.at + at, c->text);
        at = c->to;
    }
    AUTO_FREE char *before = text;
    return xasprintf("%s%.*s", before, (int)(e->text.len - at), e->text.at + at);
}

static enum err load(struct str text, yaml_document_t *ret, struct diag *why)
{
    yaml_parser_t parser;

    if (text.len > INT32_MAX || memchr(text.at, '\0', text.len) ||
        !yaml_parser_initialize(&parser))
        return diag_set(why, ERR_CONFIG, "it is not YAML that can be edited");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    bool loaded = yaml_parser_load(&parser, ret);
    yaml_parser_delete(&parser);
    return loaded ? OK : diag_set(why, ERR_CONFIG, "it is not YAML that can be edited");
}

enum err yaml_edit(struct str text, const struct yaml_step *steps, size_t step_count,
                   const struct yaml_edit *edits, size_t edit_count, char **ret,
                   struct diag *why)
{
    yaml_document_t document;
    enum err e = load(text, &document, why);
    if (e)
        return e;
    AUTO(document_deletep) yaml_document_t *loaded = &document;
    struct editing editing = { .text = text, .document = loaded, .why = why };

    e = edit_mapping(&editing, follow(&editing, steps, step_count), edits, edit_count);
    if (!e)
        *ret = apply(&editing);
    for (size_t i = 0; i < editing.count; i++)
        free(editing.changes[i].text);
    return e;
}
