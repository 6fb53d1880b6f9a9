/* config/yaml_reader.c - libyaml's events as key and value */
#include "config/yaml_reader.h"

#include <yaml.h>

#include "base/own.h"

/* Where the next event stands.  Each is what a correct file has there. */
enum place {
    AT_DOCUMENT,
    AT_ROOT,
    AT_KEY,
    AT_VALUE,
    AT_FIRST_ELEMENT,
    AT_ELEMENT,
    AT_END
};

struct yaml_reader {
    const char *name;
    struct str text;
    yaml_parser_t parser;
    yaml_event_t event; /* the last one; its texts are lent out with an entry */
    bool holds_event;
    enum place place;
    char *key;
    unsigned key_line;
};

struct yaml_reader *yaml_reader_create(const char *name, struct str text)
{
    struct yaml_reader *r = xcalloc(1, sizeof(*r));

    r->name = name;
    r->text = text;
    if (!yaml_parser_initialize(&r->parser))
        abort(); /* out of memory, the only reason it has */
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.at, text.len);
    return r;
}

static void drop_event(struct yaml_reader *r)
{
    if (r->holds_event)
        yaml_event_delete(&r->event);
    r->holds_event = false;
}

void yaml_reader_destroy(struct yaml_reader *r)
{
    if (!r)
        return;
    drop_event(r);
    yaml_parser_delete(&r->parser);
    free(r->key);
    free(r);
}

static unsigned event_line(const struct yaml_reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

static enum err complain(const struct yaml_reader *r, struct diag *why, const char *what)
{
    return diag_set(why, ERR_CONFIG, "%s:%u: %s", r->name, event_line(r), what);
}

/* A byte that is no text is told by its offset, everything else by its line. */
static enum err complain_syntax(const struct yaml_reader *r, struct diag *why)
{
    const char *problem = r->parser.problem ? r->parser.problem : "not YAML";
    size_t line = r->parser.problem_mark.line;

    if (r->parser.error == YAML_READER_ERROR) {
        line = 0;
        for (size_t i = 0; i < r->parser.problem_offset && i < r->text.len; i++)
            line += r->text.at[i] == '\n';
    }
    return diag_set(why, ERR_CONFIG, "%s:%zu: %s", r->name, line + 1, problem);
}

static enum err next_event(struct yaml_reader *r, struct diag *why)
{
    drop_event(r);
    if (!yaml_parser_parse(&r->parser, &r->event))
        return complain_syntax(r, why);
    r->holds_event = true;
    return OK;
}

static struct str scalar(const struct yaml_reader *r)
{
    return (struct str){ (const char *)r->event.data.scalar.value,
                         r->event.data.scalar.length };
}

static bool is_null(const struct yaml_reader *r)
{
    struct str s = scalar(r);

    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (str_empty(s) || str_eq(s, STR("~")) || str_eq(s, STR("null")));
}

static void lend(const struct yaml_reader *r, struct yaml_entry *ret, struct str value,
                 bool in_list, bool first)
{
    *ret =
        (struct yaml_entry){ str_of(r->key), value, event_line(r), in_list, first, NULL };
}

static void lend_key(const struct yaml_reader *r, struct yaml_entry *ret,
                     const char *problem)
{
    *ret = (struct yaml_entry){
        .key = str_of(r->key), .line = r->key_line, .first = true, .problem = problem
    };
}

static enum err at_document(struct yaml_reader *r)
{
    if (r->event.type == YAML_STREAM_END_EVENT)
        return ERR_EOF;
    if (r->event.type == YAML_DOCUMENT_START_EVENT)
        r->place = AT_ROOT;
    return ERR_AGAIN;
}

static enum err at_root(struct yaml_reader *r, struct diag *why)
{
    if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
        r->place = AT_END; /* nothing between the marks of a document */
    else if (r->event.type == YAML_MAPPING_START_EVENT)
        r->place = AT_KEY;
    else
        return complain(r, why, "expected settings, like \"port: 8080\"");
    return ERR_AGAIN;
}

static enum err at_key(struct yaml_reader *r, struct diag *why)
{
    if (r->event.type == YAML_MAPPING_END_EVENT) {
        r->place = AT_END;
        return ERR_AGAIN;
    }
    if (r->event.type != YAML_SCALAR_EVENT)
        return complain(r, why, "expected the name of a setting");
    free(r->key);
    r->key = str_dup(scalar(r));
    r->key_line = event_line(r);
    r->place = AT_VALUE;
    return ERR_AGAIN;
}

static enum err at_value(struct yaml_reader *r, struct yaml_entry *ret)
{
    if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        r->place = AT_FIRST_ELEMENT;
        return ERR_AGAIN;
    }
    r->place = AT_KEY;
    if (r->event.type != YAML_SCALAR_EVENT)
        lend_key(r, ret, "expected a value or a list");
    else if (is_null(r))
        lend_key(r, ret, "a value is missing");
    else
        lend(r, ret, scalar(r), false, true);
    return OK;
}

static enum err at_element(struct yaml_reader *r, struct yaml_entry *ret,
                           struct diag *why)
{
    bool first = r->place == AT_FIRST_ELEMENT;

    if (r->event.type == YAML_SEQUENCE_END_EVENT) {
        r->place = AT_KEY;
        lend(r, ret, str_of(""), true, true);
        return first ? OK : ERR_AGAIN;
    }
    if (r->event.type != YAML_SCALAR_EVENT || str_empty(scalar(r)))
        return diag_set(why, ERR_CONFIG, "%s:%u: %s: expected a list of values", r->name,
                        event_line(r), r->key);
    r->place = AT_ELEMENT;
    lend(r, ret, scalar(r), true, first);
    return OK;
}

static enum err at_end(const struct yaml_reader *r, struct diag *why)
{
    if (r->event.type == YAML_DOCUMENT_START_EVENT)
        return complain(r, why, "a second document; one file holds one");
    return r->event.type == YAML_STREAM_END_EVENT ? ERR_EOF : ERR_AGAIN;
}

static enum err at_place(struct yaml_reader *r, struct yaml_entry *ret, struct diag *why)
{
    switch (r->place) {
    case AT_DOCUMENT:
        return at_document(r);
    case AT_ROOT:
        return at_root(r, why);
    case AT_KEY:
        return at_key(r, why);
    case AT_VALUE:
        return at_value(r, ret);
    case AT_FIRST_ELEMENT:
    case AT_ELEMENT:
        return at_element(r, ret, why);
    case AT_END:
        return at_end(r, why);
    }
    return ERR_EOF;
}

enum err yaml_reader_next(struct yaml_reader *r, struct yaml_entry *ret, struct diag *why)
{
    struct yaml_entry entry;
    enum err e;

    do {
        e = next_event(r, why);
        if (!e)
            e = at_place(r, &entry, why);
    } while (e == ERR_AGAIN);
    if (!e)
        *ret = entry;
    return e;
}
