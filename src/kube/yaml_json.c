/* kube/yaml_json.c - a YAML value as JSON, for what is passed on without being read */
#include "kube/yaml_json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static void json_freep(json_t **j)
{
    json_decref(*j);
}

static json_t *number(const char *text)
{
    char *end;

    if (!text[0] || text[strspn(text, "0123456789abcdefABCDEFxX+-.")])
        return NULL;
    errno = 0;
    long long whole = strtoll(text, &end, 0);
    if (end != text && !*end && !errno)
        return json_integer(whole);
    if (text[strspn(text, "0123456789eE+-.")])
        return NULL;
    double real = strtod(text, &end);
    return end != text && !*end && isfinite(real) ? json_real(real) : NULL;
}

static json_t *word(struct str text)
{
    static const char *const yes[] = { "true", "yes", "on", "y" };
    static const char *const no[] = { "false", "no", "off", "n" };

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_ieq(text, str_of(yes[i])))
            return json_true();
        if (str_ieq(text, str_of(no[i])))
            return json_false();
    }
    return NULL;
}

static enum err scalar(struct yaml_cursor *c, json_t **ret)
{
    const struct yaml_event *e = yaml_at(c);
    AUTO_FREE char *text = str_dup(e->text);

    *ret = e->null ? json_null() : NULL;
    if (!*ret && e->plain)
        *ret = word(e->text);
    if (!*ret && e->plain && strlen(text) == e->text.len)
        *ret = number(text);
    if (!*ret)
        *ret = json_stringn(e->text.at, e->text.len);
    return *ret ? OK : yaml_refuse(c, "the text is not UTF-8");
}

static enum err list(struct yaml_cursor *c, json_t **ret)
{
    AUTO(json_freep) json_t *array = json_array();

    for (;;) {
        json_t *value = NULL;
        enum err e = yaml_next(c);
        if (!e && yaml_at(c)->kind == YAML_LIST_END)
            break;
        if (!e)
            e = yaml_to_json(c, &value);
        if (e)
            return e;
        json_array_append_new(array, value);
    }
    *ret = TAKE(array);
    return OK;
}

static enum err pair(struct yaml_cursor *c, json_t *object)
{
    const struct yaml_event *e = yaml_at(c);
    json_t *value = NULL;

    if (e->kind != YAML_TEXT || memchr(e->text.at, '\0', e->text.len))
        return yaml_refuse(c, "expected a plain key");
    AUTO_FREE char *key = str_dup(e->text);
    enum err result = yaml_next(c);
    if (!result)
        result = yaml_to_json(c, &value);
    if (!result && json_object_set_new(object, key, value))
        return yaml_refuse(c, "the key is not UTF-8");
    return result;
}

static enum err mapping(struct yaml_cursor *c, json_t **ret)
{
    AUTO(json_freep) json_t *object = json_object();

    for (;;) {
        enum err e = yaml_next(c);
        if (!e && yaml_at(c)->kind == YAML_MAP_END)
            break;
        if (!e)
            e = pair(c, object);
        if (e)
            return e;
    }
    *ret = TAKE(object);
    return OK;
}

enum err yaml_to_json(struct yaml_cursor *c, json_t **ret)
{
    switch (yaml_at(c)->kind) {
    case YAML_LIST:
        return list(c, ret);
    case YAML_MAP:
        return mapping(c, ret);
    default:
        return scalar(c, ret);
    }
}
