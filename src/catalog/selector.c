#include "catalog/selector.h"

#include <string.h>

#include "base/own.h"

#define SELECTOR_MAX 8192
#define VALUE_MAX 317 /* of a label's key: a prefix of 253 bytes, "/", a name of 63 */

struct text {
    char at[SELECTOR_MAX];
    size_t len;
    bool wrong;
};

/* Has it only characters of a label's key or value?  Others could change the query. */
static bool is_label_text(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_./";
    return strspn(s, allowed) == strlen(s) && strlen(s) <= VALUE_MAX;
}

static void add(struct text *t, const char *s)
{
    size_t len = strlen(s);

    if (len >= sizeof(t->at) - t->len) {
        t->wrong = true;
        return;
    }
    memcpy(t->at + t->len, s, len + 1);
    t->len += len;
}

static void add_word(struct text *t, const json_t *word)
{
    const char *s = json_string_value(word);

    if (s && is_label_text(s))
        add(t, s);
    else
        t->wrong = true;
}

static void begin(struct text *t)
{
    if (t->len)
        add(t, ",");
}

static void add_labels(struct text *t, const json_t *labels)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)labels, key, value)
    {
        begin(t);
        if (!*key || !is_label_text(key))
            t->wrong = true;
        add(t, key);
        add(t, "=");
        add_word(t, value);
    }
}

static void add_set(struct text *t, const json_t *key, const char *operator,
                    const json_t * values)
{
    size_t i;
    json_t *value;

    add_word(t, key);
    add(t, operator);
    json_array_foreach((json_t *)values, i, value)
    {
        add(t, i ? "," : "");
        add_word(t, value);
    }
    add(t, ")");
}

static void add_expression(struct text *t, const json_t *o)
{
    const json_t *key = json_object_get(o, "key"), *values = json_object_get(o, "values");
    const char *operator= json_string_value(json_object_get(o, "operator"));

    begin(t);
    if (!operator|| !json_string_length(key))
        t->wrong = true;
    else if (strcmp(operator, "In") == 0)
        add_set(t, key, " in (", values);
    else if (strcmp(operator, "NotIn") == 0)
        add_set(t, key, " notin (", values);
    else if (strcmp(operator, "Exists") == 0)
        add_word(t, key);
    else if (strcmp(operator, "DoesNotExist") == 0) {
        add(t, "!");
        add_word(t, key);
    } else
        t->wrong = true;
}

static char *finished(const struct text *t)
{
    return t->wrong || !t->len ? NULL : xstrdup(t->at);
}

char *selector_of_labels(const json_t *labels)
{
    struct text t = { .at = "" };

    add_labels(&t, labels);
    return finished(&t);
}

char *selector_of_rules(const json_t *selector)
{
    struct text t = { .at = "" };
    size_t i;
    json_t *expression;

    add_labels(&t, json_object_get(selector, "matchLabels"));
    json_array_foreach(json_object_get(selector, "matchExpressions"), i, expression)
        add_expression(&t, expression);
    return finished(&t);
}
