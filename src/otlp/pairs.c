/* otlp/pairs.c - NAME=VALUE,NAME=VALUE as OpenTelemetry's environment variables have them */
#include "otlp/pairs.h"

#include <stdlib.h>

#include "base/own.h"
#include "wire/http1_chars.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -1: no two digits follow. */
static int decoded_byte(struct str after)
{
    int high = after.len >= 2 ? digit_of(after.at[0]) : -1;
    int low = after.len >= 2 ? digit_of(after.at[1]) : -1;

    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* NULL: a "%" without two digits, or a NUL. */
static char *decode(struct str s)
{
    AUTO_FREE char *ret = xmalloc(s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.at[i];
        if (c == '%') {
            c = decoded_byte(str_skip(s, i + 1));
            i += 2;
        }
        if (c <= 0)
            return NULL;
        ret[n++] = (char)c;
    }
    ret[n] = '\0';
    return TAKE(ret);
}

static enum err add_pair(struct str element, struct pair_list *ret, struct diag *why)
{
    size_t number = ret->count + 1;
    struct str name, value = str_cut(element, '=', &name);

    if (!value.at)
        return diag_set(why, ERR_CONFIG, "element %zu is not NAME=VALUE", number);
    if (str_empty(str_trim(name)))
        return diag_set(why, ERR_CONFIG, "element %zu has no name", number);
    if (ret->count == PAIRS_MAX)
        return diag_set(why, ERR_CONFIG, "there are more than %d elements", PAIRS_MAX);
    struct pair p = { decode(str_trim(name)), decode(str_trim(value)) };
    ret->at = xrealloc(ret->at, (ret->count + 1) * sizeof(*ret->at));
    ret->at[ret->count++] = p;
    if (!p.name || !p.value)
        return diag_set(
            why, ERR_CONFIG,
            "element %zu has a \"%%\" without two hexadecimal digits, or a NUL", number);
    return OK;
}

enum err pairs_parse(struct str text, struct pair_list *ret, struct diag *why)
{
    struct str element;
    enum err e = OK;

    *ret = (struct pair_list){ 0 };
    if (text.len > PAIRS_LENGTH_MAX)
        return diag_set(why, ERR_CONFIG, "it is longer than %u bytes", PAIRS_LENGTH_MAX);
    while (!e && !str_empty(text)) {
        text = str_cut(text, ',', &element);
        if (!str_empty(str_trim(element)))
            e = add_pair(element, ret, why);
    }
    if (e)
        pairs_finish(ret);
    return e;
}

void pairs_finish(struct pair_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->at[i].name);
        free(l->at[i].value);
    }
    free(l->at);
    *l = (struct pair_list){ 0 };
}

const char *pairs_find(const struct pair_list *l, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->at[i].name, name) == 0)
            found = l->at[i].value;
    return found;
}

/* --- header fields --- */

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.at[i]))
            return false;
    return !str_empty(s);
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Fields that frame the message, and those that the program sets itself. */
static bool is_own_field(struct str name)
{
    static const char *const own[] = {
        "Connection", "Content-Encoding",  "Content-Length", "Content-Type", "Expect",
        "Host",       "Transfer-Encoding", "Traceparent",    "Upgrade",      "User-Agent"
    };

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_ieq(name, str_of(own[i])))
            return true;
    return false;
}

enum err pairs_check_headers(const struct pair_list *l, struct diag *why)
{
    for (size_t i = 0; i < l->count; i++) {
        struct str name = str_of(l->at[i].name);
        if (!is_name(name))
            return diag_set(why, ERR_CONFIG,
                            "the name of element %zu is not that of a header field",
                            i + 1);
        if (is_own_field(name))
            return diag_set(why, ERR_CONFIG,
                            "the field of element %zu is set by kube-tunnel", i + 1);
        if (!is_value(str_of(l->at[i].value)))
            return diag_set(why, ERR_CONFIG,
                            "the value of element %zu has a control character", i + 1);
    }
    return OK;
}
