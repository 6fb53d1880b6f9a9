/* control/query.c - parameters of a query, and answers */
#include "control/operation.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "base/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "%2F" and "+"; a "%" without two digits stands for itself. */
static size_t decode(struct str in, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        int high = in.at[i] == '%' && i + 2 < in.len ? hex_digit(in.at[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(in.at[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = in.at[i] == '+' ? ' ' : in.at[i];
        }
    }
    return n;
}

static bool is_text(const char *at, size_t len)
{
    while (len) {
        size_t n = utf8_length(at, len);
        if (!n || utf8_is_control(at, n))
            return false;
        at += n;
        len -= n;
    }
    return true;
}

char *query_value(struct str query, const char *name)
{
    while (!str_empty(query)) {
        struct str pair, key;
        query = str_cut(query, '&', &pair);
        struct str value = str_cut(pair, '=', &key);
        if (!str_eq(key, str_of(name)))
            continue;
        char *text = xmalloc(value.len + 1);
        size_t len = decode(value, text);
        text[len] = '\0';
        if (is_text(text, len))
            return text;
        free(text);
        return NULL;
    }
    return NULL;
}

bool query_flag(struct str query, const char *name)
{
    AUTO_FREE char *value = query_value(query, name);

    return value && (!value[0] || !strcmp(value, "1") || !strcmp(value, "true"));
}

void answer_json(struct answer *ret, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);

    json_decref(json);
    if (!text)
        abort();
    *ret = (struct answer){ .status = status, .text = text, .len = strlen(text) };
}

json_t *json_text(const char *text)
{
    json_t *json = json_string(text ? text : "");

    if (json)
        return json;
    AUTO_FREE char *safe = xstrdup(text);
    text_make_printable(safe, true);
    json = json_string(safe);
    if (!json)
        abort();
    return json;
}

void answer_error(struct answer *ret, int status, const char *code, const char *next,
                  const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *error = json_object();
    json_object_set_new(error, "code", json_string(code));
    json_object_set_new(error, "message", json_text(text));
    if (next)
        json_object_set_new(error, "next", json_text(next));
    json_t *whole = json_object();
    json_object_set_new(whole, "error", error);
    answer_json(ret, status, whole);
}

const char *body_text(const struct operation *op, const char *name)
{
    return op->body ? json_string_value(json_object_get(op->body, name)) : NULL;
}
