#include "playground/api/selector.h"

#include "base/own.h"
#include "playground/api/object.h"

static bool key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '/' || c == '-' || c == '_' || c == ':';
}

static struct str take_word(struct str *in)
{
    *in = str_trim(*in);
    size_t n = 0;
    while (n < in->len && key_char(in->at[n]))
        n++;
    struct str word = str_first(*in, n);
    *in = str_trim(str_skip(*in, n));
    return word;
}

static bool take(struct str *in, struct str token)
{
    if (!str_starts(*in, token))
        return false;
    *in = str_trim(str_skip(*in, token.len));
    return true;
}

static enum err add_value(struct requirement *r, struct str *in)
{
    if (r->count == SELECTOR_VALUES)
        return ERR_LIMIT;
    r->values[r->count++] = take_word(in);
    return OK;
}

static enum err take_set(struct requirement *r, struct str *in)
{
    if (!take(in, STR("(")))
        return ERR_PROTO;
    do {
        enum err e = add_value(r, in);
        if (e)
            return e;
    } while (take(in, STR(",")));
    return take(in, STR(")")) ? OK : ERR_PROTO;
}

static enum err take_operator(struct requirement *r, struct str *in)
{
    if (str_empty(*in) || in->at[0] == ',')
        return OK; /* the key alone: it must exist */
    bool not_in = take(in, STR("notin"));
    if (not_in || take(in, STR("in"))) {
        r->op = not_in ? SELECT_NOT_IN : SELECT_IN;
        return take_set(r, in);
    }
    bool different = take(in, STR("!="));
    if (!different && !take(in, STR("==")) && !take(in, STR("=")))
        return ERR_PROTO;
    r->op = different ? SELECT_NOT_IN : SELECT_IN;
    return add_value(r, in);
}

static enum err take_requirement(struct requirement *r, struct str *in)
{
    bool missing = take(in, STR("!"));
    r->key = take_word(in);
    r->op = missing ? SELECT_MISSING : SELECT_EXISTS;
    if (str_empty(r->key))
        return ERR_PROTO;
    return missing ? OK : take_operator(r, in);
}

enum err selector_parse(struct str text, struct selector *ret)
{
    *ret = (struct selector){ 0 };
    text = str_trim(text);
    while (!str_empty(text)) {
        if (ret->count == SELECTOR_REQUIREMENTS)
            return ERR_LIMIT;
        enum err e = take_requirement(&ret->requirements[ret->count++], &text);
        if (e)
            return e;
        if (!str_empty(text) && !take(&text, STR(",")))
            return ERR_PROTO;
    }
    return OK;
}

static bool holds(const struct requirement *r, const char *value)
{
    if (r->op == SELECT_EXISTS || r->op == SELECT_MISSING)
        return (value != NULL) == (r->op == SELECT_EXISTS);
    bool found = false;
    for (size_t i = 0; value && i < r->count && !found; i++)
        found = str_eq(r->values[i], str_of(value));
    return found == (r->op == SELECT_IN);
}

bool selector_matches_labels(const struct selector *s, const json_t *object)
{
    const json_t *labels = object_labels(object);
    for (size_t i = 0; i < s->count; i++) {
        const struct requirement *r = &s->requirements[i];
        const json_t *value = json_object_getn(labels, r->key.at, r->key.len);
        if (!holds(r, json_string_value(value)))
            return false;
    }
    return true;
}

/* Fields of services and pods, including those that kube-tunnel selects by. */
static const struct {
    const char *key, *part, *member;
} fields[] = {
    { "metadata.name", "metadata", "name" },
    { "metadata.namespace", "metadata", "namespace" },
    { "status.phase", "status", "phase" },
    { "status.podIP", "status", "podIP" },
    { "spec.clusterIP", "spec", "clusterIP" },
};

static bool find_field(struct str key, size_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq(key, str_of(fields[i].key))) {
            *ret = i;
            return true;
        }
    return false;
}

static const char *field_value(const json_t *object, struct str key)
{
    size_t i;

    if (!find_field(key, &i))
        return NULL;
    return json_string_value(object_at(object, fields[i].part, fields[i].member, NULL));
}

enum err selector_check_fields(const struct selector *s)
{
    for (size_t i = 0; i < s->count; i++) {
        size_t any;
        if (!find_field(s->requirements[i].key, &any))
            return ERR_PROTO;
    }
    return OK;
}

bool selector_matches_fields(const struct selector *s, const json_t *object)
{
    for (size_t i = 0; i < s->count; i++)
        if (!holds(&s->requirements[i], field_value(object, s->requirements[i].key)))
            return false;
    return true;
}
