/* yaml/fields.c - mappings into structs, by tables of fields */
#include "yaml/fields.h"

#include <assert.h>

enum err yaml_expect(struct yaml_cursor *c, enum yaml_kind kind, bool *ret)
{
    const struct yaml_event *e = yaml_at(c);

    *ret = e->kind == kind;
    if (*ret || e->null)
        return OK;
    return yaml_refuse(c, kind == YAML_MAP ? "expected a mapping (key: value)"
                                           : "expected a list (- ...)");
}

enum err yaml_read_text(struct yaml_cursor *c, char **ret)
{
    const struct yaml_event *e = yaml_at(c);

    if (e->kind != YAML_TEXT)
        return yaml_refuse(c, "expected text");
    if (memchr(e->text.at, '\0', e->text.len))
        return yaml_refuse(c, "expected text without NUL bytes");
    *ret = e->null || str_empty(e->text) ? NULL : str_dup(e->text);
    return OK;
}

static enum err read_text(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    (void)f;
    return yaml_read_text(c, at);
}

static void clear_text(const struct yaml_field *f, void *at)
{
    (void)f;
    free(*(char **)at);
    *(char **)at = NULL;
}

static void copy_text(const struct yaml_field *f, void *to, const void *from)
{
    (void)f;
    *(char **)to = xstrdup_or_null(*(char *const *)from);
}

const struct yaml_type yaml_text = { read_text, clear_text, copy_text };

/* The words for booleans of YAML 1.1, which Kubernetes uses. */
static enum err read_bool(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    static const char *const yes[] = { "true", "yes", "on", "y" };
    static const char *const no[] = { "false", "no", "off", "n" };
    const struct yaml_event *e = yaml_at(c);
    bool *value = at;
    (void)f;

    if (e->null)
        return OK;
    for (size_t i = 0; e->plain && i < ARRAY_LEN(yes); i++) {
        if (!str_ieq(e->text, str_of(yes[i])) && !str_ieq(e->text, str_of(no[i])))
            continue;
        *value = str_ieq(e->text, str_of(yes[i]));
        return OK;
    }
    return yaml_refuse(c, "expected true or false, without quotes");
}

static void clear_bool(const struct yaml_field *f, void *at)
{
    (void)f;
    *(bool *)at = false;
}

static void copy_bool(const struct yaml_field *f, void *to, const void *from)
{
    (void)f;
    *(bool *)to = *(const bool *)from;
}

const struct yaml_type yaml_bool = { read_bool, clear_bool, copy_bool };

static enum err read_texts(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    struct texts *list = at;
    bool is_list;
    enum err e = yaml_expect(c, YAML_LIST, &is_list);
    (void)f;

    while (!e && is_list) {
        char *text = NULL;
        e = yaml_next(c);
        if (e || yaml_at(c)->kind == YAML_LIST_END)
            return e;
        e = yaml_read_text(c, &text);
        if (!e)
            texts_add(list, text ? text : xstrdup(""));
    }
    return e;
}

static void clear_texts(const struct yaml_field *f, void *at)
{
    (void)f;
    texts_finish(at);
}

static void copy_texts(const struct yaml_field *f, void *to, const void *from)
{
    const struct texts *list = from;
    (void)f;

    for (size_t i = 0; i < list->count; i++)
        texts_add(to, xstrdup(list->at[i]));
}

const struct yaml_type yaml_texts = { read_texts, clear_texts, copy_texts };

void yaml_pairs_add(struct text_pairs *p, char *name, char *value)
{
    if ((p->count & (p->count - 1)) == 0)
        p->at = xrealloc(p->at, (p->count ? p->count * 2 : 1) * sizeof(*p->at));
    p->at[p->count++] = (struct text_pair){ name, value };
}

static enum err read_pair(struct yaml_cursor *c, void *at)
{
    struct text_pairs *pairs = at;
    AUTO_FREE char *name = NULL;
    char *value = NULL;
    enum err e = yaml_read_text(c, &name);

    if (!e)
        e = yaml_next(c);
    if (!e)
        e = yaml_read_text(c, &value);
    if (!e)
        yaml_pairs_add(pairs, name ? TAKE(name) : xstrdup(""),
                       value ? value : xstrdup(""));
    return e;
}

enum err yaml_read_each(struct yaml_cursor *c, enum yaml_kind kind,
                        enum err (*read)(struct yaml_cursor *c, void *at), void *at)
{
    enum yaml_kind end = kind == YAML_LIST ? YAML_LIST_END : YAML_MAP_END;
    bool is_there;
    enum err e = yaml_expect(c, kind, &is_there);

    while (!e && is_there) {
        e = yaml_next(c);
        if (e || yaml_at(c)->kind == end)
            return e;
        e = read(c, at);
    }
    return e;
}

static enum err read_pairs(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    (void)f;
    return yaml_read_each(c, YAML_MAP, read_pair, at);
}

static void clear_pairs(const struct yaml_field *f, void *at)
{
    struct text_pairs *p = at;
    (void)f;

    for (size_t i = 0; i < p->count; i++) {
        free(p->at[i].name);
        free(p->at[i].value);
    }
    free(p->at);
    *p = (struct text_pairs){ 0 };
}

static void copy_pairs(const struct yaml_field *f, void *to, const void *from)
{
    const struct text_pairs *p = from;
    (void)f;

    for (size_t i = 0; i < p->count; i++)
        yaml_pairs_add(to, xstrdup(p->at[i].name), xstrdup(p->at[i].value));
}

const struct yaml_type yaml_pairs = { read_pairs, clear_pairs, copy_pairs };

static void clear_struct(const struct yaml_field *f, void *at)
{
    void **to = at;

    if (*to)
        yaml_clear_fields(f->fields, *to);
    free(TAKE(*to));
}

static enum err read_struct(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    void **to = at;

    if (yaml_at(c)->null)
        return OK;
    *to = xcalloc(1, f->size);
    return yaml_read_fields(c, f->fields, *to);
}

static void copy_struct(const struct yaml_field *f, void *to, const void *from)
{
    const void *const *own = from;
    void **copy = to;

    if (!*own)
        return;
    *copy = xcalloc(1, f->size);
    yaml_copy_fields(f->fields, *copy, *own);
}

const struct yaml_type yaml_struct = { read_struct, clear_struct, copy_struct };

static enum err read_part(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    return yaml_read_fields(c, f->fields, (char *)at - f->offset);
}

static void clear_part(const struct yaml_field *f, void *at)
{
    yaml_clear_fields(f->fields, (char *)at - f->offset);
}

static void copy_part(const struct yaml_field *f, void *to, const void *from)
{
    yaml_copy_fields(f->fields, (char *)to - f->offset, (const char *)from - f->offset);
}

const struct yaml_type yaml_part = { read_part, clear_part, copy_part };

static const struct yaml_field *find(const struct yaml_field *fields, struct str key)
{
    for (; fields->key; fields++)
        if (key.len && fields->key[0] == key.at[0] && str_eq(str_of(fields->key), key))
            return fields;
    return NULL;
}

/* Which fields were set, as bits: by keys of the mapping itself, and by any key. */
struct seen {
    uint64_t own, any;
};

static enum err read_value(struct yaml_cursor *c, const struct yaml_field *f,
                           uint64_t bit, struct seen *seen, void *into)
{
    bool merged = yaml_at(c)->merged;
    void *at = (char *)into + f->offset;

    if (!merged && (seen->own & bit))
        yaml_warn(c, "%s is given twice; this one counts", f->key);
    if (seen->any & bit)
        f->type->clear(f, at);
    seen->own |= merged ? 0 : bit;
    seen->any |= bit;
    enum err e = yaml_next(c);
    return e ? e : f->type->read(c, f, at);
}

static enum err read_entry(struct yaml_cursor *c, const struct yaml_field *fields,
                           struct seen *seen, void *into)
{
    if (yaml_at(c)->kind != YAML_TEXT)
        return yaml_refuse(c, "expected a plain key");
    const struct yaml_field *f = find(fields, yaml_at(c)->text);
    if (f) {
        assert(f - fields < YAML_FIELDS_MAX);
        return read_value(c, f, 1ull << (f - fields), seen, into);
    }
    enum err e = yaml_next(c);
    return e ? e : yaml_skip(c);
}

enum err yaml_read_fields(struct yaml_cursor *c, const struct yaml_field *fields,
                          void *into)
{
    struct seen seen = { 0, 0 };
    bool is_map;
    enum err e = yaml_expect(c, YAML_MAP, &is_map);

    while (!e && is_map) {
        e = yaml_next(c);
        if (e || yaml_at(c)->kind == YAML_MAP_END)
            return e;
        e = read_entry(c, fields, &seen, into);
    }
    return e;
}

void yaml_clear_fields(const struct yaml_field *fields, void *from)
{
    for (; fields->key; fields++)
        fields->type->clear(fields, (char *)from + fields->offset);
}

void yaml_copy_fields(const struct yaml_field *fields, void *into, const void *from)
{
    for (; fields->key; fields++)
        fields->type->copy(fields, (char *)into + fields->offset,
                           (const char *)from + fields->offset);
}
