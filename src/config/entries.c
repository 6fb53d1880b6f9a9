/* config/entries.c - a configuration file, one value at a time */
#include "config/entries.h"

#include "base/own.h"
#include "yaml/cursor.h"

/* What the next event is in a correct file. */
enum place {
    AT_ROOT,
    AT_KEY,
    AT_VALUE,
    AT_FIRST_ELEMENT,
    AT_ELEMENT,
    AT_SECTION, /* the name of a section, or the end of all */
    AT_SECTION_VALUE,
    AT_FIELD, /* a key in a section, or the end of the section */
    AT_FIELD_VALUE,
};

struct entries {
    struct yaml_cursor *yaml;
    const char *name;
    struct diag *why;
    enum place place;
    char *key;
    unsigned key_line;
    char *field; /* of a section: the key, or "key=value" */
    unsigned field_line;
};

struct entries *entries_create(const char *name, struct str text, struct diag *why)
{
    struct entries *s = xcalloc(1, sizeof(*s));

    s->name = name;
    s->why = why;
    s->yaml = yaml_cursor_create(name, text, why);
    return s;
}

void entries_destroy(struct entries *s)
{
    if (!s)
        return;
    yaml_cursor_destroy(s->yaml);
    free(s->key);
    free(s->field);
    free(s);
}

static void lend(const struct entries *s, struct entry *ret, struct str value,
                 bool in_list, bool first)
{
    unsigned line = yaml_at(s->yaml)->line;

    *ret = (struct entry){ .key = str_of(s->key),
                           .value = value,
                           .line = line,
                           .in_list = in_list,
                           .first = first };
}

static void lend_key(const struct entries *s, struct entry *ret, const char *problem)
{
    *ret = (struct entry){
        .key = str_of(s->key), .line = s->key_line, .first = true, .problem = problem
    };
}

static enum err at_end(struct entries *s)
{
    bool more;
    enum err e = yaml_more(s->yaml, &more);

    if (!e && more)
        e = yaml_refuse(s->yaml, "a second document; one file holds one");
    return e ? e : ERR_EOF;
}

static enum err at_root(struct entries *s, const struct yaml_event *at)
{
    if (at->kind != YAML_MAP && !at->null)
        return yaml_refuse(s->yaml, "expected settings, like \"port: 8080\"");
    s->place = AT_KEY; /* or the document between its marks is empty */
    return ERR_AGAIN;
}

static enum err at_key(struct entries *s, const struct yaml_event *at)
{
    if (at->kind == YAML_MAP_END)
        return ERR_AGAIN;
    if (at->kind != YAML_TEXT)
        return yaml_refuse(s->yaml, "expected the name of a setting");
    free(s->key);
    s->key = str_dup(at->text);
    s->key_line = at->line;
    s->place = AT_VALUE;
    return ERR_AGAIN;
}

static enum err at_value(struct entries *s, const struct yaml_event *at,
                         struct entry *ret)
{
    if (at->kind == YAML_LIST) {
        s->place = AT_FIRST_ELEMENT;
        return ERR_AGAIN;
    }
    if (at->kind == YAML_MAP) {
        s->place = AT_SECTION;
        lend(s, ret, str_of(""), true, true);
        ret->line = s->key_line;
        ret->in_section = true;
        return OK;
    }
    s->place = AT_KEY;
    if (at->kind != YAML_TEXT)
        lend_key(s, ret, "expected a value or a list");
    else if (at->null)
        lend_key(s, ret, "a value is missing");
    else
        lend(s, ret, at->text, false, true);
    return OK;
}

static enum err at_element(struct entries *s, const struct yaml_event *at,
                           struct entry *ret)
{
    bool first = s->place == AT_FIRST_ELEMENT;

    if (at->kind == YAML_LIST_END) {
        s->place = AT_KEY;
        lend(s, ret, str_of(""), true, true);
        return first ? OK : ERR_AGAIN;
    }
    if (at->kind != YAML_TEXT || str_empty(at->text))
        return yaml_refuse(s->yaml, "%s: expected a list of values", s->key);
    s->place = AT_ELEMENT;
    lend(s, ret, at->text, true, first);
    return OK;
}

static void lend_section(struct entries *s, struct entry *ret, struct str value)
{
    lend(s, ret, value, true, false);
    ret->line = s->field_line;
    ret->in_section = true;
}

/* The end of a mapping, or the next key of it. */
static enum err at_name(struct entries *s, const struct yaml_event *at, enum place after,
                        enum place above)
{
    if (at->kind == YAML_MAP_END) {
        s->place = above;
        return ERR_AGAIN;
    }
    if (at->kind != YAML_TEXT || str_empty(at->text))
        return yaml_refuse(s->yaml, "%s: expected a name", s->key);
    free(s->field);
    s->field = str_dup(at->text);
    s->field_line = at->line;
    s->place = after;
    return ERR_AGAIN;
}

static enum err at_section_value(struct entries *s, const struct yaml_event *at,
                                 struct entry *ret)
{
    if (at->kind != YAML_MAP)
        return yaml_refuse(s->yaml, "%s: %s: expected keys and values, like {key: value}",
                           s->key, s->field);
    s->place = AT_FIELD;
    lend_section(s, ret, str_of(s->field));
    return OK;
}

static enum err at_field_value(struct entries *s, const struct yaml_event *at,
                               struct entry *ret)
{
    if (at->kind != YAML_TEXT || str_empty(at->text))
        return yaml_refuse(s->yaml, "%s: %s: expected a value", s->key, s->field);
    char *text = xasprintf("%s=%.*s", s->field, STR_ARG(at->text));
    free(s->field);
    s->field = text;
    s->place = AT_FIELD;
    lend_section(s, ret, str_of(s->field));
    return OK;
}

static enum err at_place(struct entries *s, struct entry *ret)
{
    const struct yaml_event *at = yaml_at(s->yaml);

    if (at->kind == YAML_END)
        return at_end(s);
    switch (s->place) {
    case AT_ROOT:
        return at_root(s, at);
    case AT_KEY:
        return at_key(s, at);
    case AT_VALUE:
        return at_value(s, at, ret);
    case AT_FIRST_ELEMENT:
    case AT_ELEMENT:
        return at_element(s, at, ret);
    case AT_SECTION:
        return at_name(s, at, AT_SECTION_VALUE, AT_KEY);
    case AT_SECTION_VALUE:
        return at_section_value(s, at, ret);
    case AT_FIELD:
        return at_name(s, at, AT_FIELD_VALUE, AT_SECTION);
    case AT_FIELD_VALUE:
        return at_field_value(s, at, ret);
    }
    return ERR_EOF;
}

enum err entries_next(struct entries *s, struct entry *ret)
{
    struct entry entry;
    enum err e;

    do {
        e = yaml_next(s->yaml);
        if (!e)
            e = at_place(s, &entry);
    } while (e == ERR_AGAIN);
    if (!e)
        *ret = entry;
    return e;
}
