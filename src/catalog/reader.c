#include "catalog/reader.h"

const json_t *field(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

static const json_t *checked(struct reader *r, const json_t *v, json_type type,
                             const char *key)
{
    if (v && json_typeof(v) != type) {
        if (!r->wrong)
            r->wrong = key;
        return NULL;
    }
    return v;
}

const json_t *object_at(struct reader *r, const json_t *o, const char *key)
{
    return checked(r, field(o, key), JSON_OBJECT, key);
}

const json_t *array_at(struct reader *r, const json_t *o, const char *key)
{
    return checked(r, field(o, key), JSON_ARRAY, key);
}

const char *text_at(struct reader *r, const json_t *o, const char *key)
{
    const json_t *v = checked(r, field(o, key), JSON_STRING, key);

    if (v && json_string_length(v) > TEXT_MAX) {
        r->wrong = r->wrong ? r->wrong : key;
        return NULL;
    }
    return json_string_value(v);
}

const char *text_or_empty(struct reader *r, const json_t *o, const char *key)
{
    const char *text = text_at(r, o, key);
    return text ? text : "";
}

bool flag_at(struct reader *r, const json_t *o, const char *key, bool missing)
{
    const json_t *v = field(o, key);

    if (v && !json_is_boolean(v) && !r->wrong)
        r->wrong = key;
    return v ? json_is_true(v) : missing;
}

bool text_is(struct reader *r, const json_t *o, const char *key, const char *value)
{
    const char *text = text_at(r, o, key);
    return text && strcmp(text, value) == 0;
}

uint16_t port_at(struct reader *r, const json_t *o, const char *key)
{
    const json_t *v = checked(r, field(o, key), JSON_INTEGER, key);
    json_int_t n = json_integer_value(v);

    if (n < 0 || n > UINT16_MAX) {
        r->wrong = r->wrong ? r->wrong : key;
        return 0;
    }
    return (uint16_t)n;
}

bool is_tcp(struct reader *r, const json_t *port)
{
    return !field(port, "protocol") || text_is(r, port, "protocol", "TCP");
}

size_t count_of(const json_t *array, size_t max, size_t *ret_left_out)
{
    size_t n = json_array_size(array);
    *ret_left_out = n > max ? n - max : 0;
    return n - *ret_left_out;
}

uint64_t version_of(struct reader *r, const json_t *metadata)
{
    const char *version = text_at(r, metadata, "resourceVersion");
    return version ? str_hash(str_of(version)) : 0;
}

enum err verdict(const struct reader *r, const char *what, const char *name,
                 struct diag *why)
{
    if (r->wrong)
        return diag_set(why, ERR_PROTO, "%s \"%s\": field %s has an unexpected value",
                        what, name ? name : "", r->wrong);
    if (!name || !*name)
        return diag_set(why, ERR_PROTO, "%s without a name", what);
    return OK;
}
