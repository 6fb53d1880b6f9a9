/* control/redact.c - what of a request may be shown */
#include "control/redact.h"

#include "base/own.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool begins(struct str text, const char *word)
{
    for (size_t i = 0; word[i]; i++)
        if (i == text.len || lower(text.at[i]) != word[i])
            return false;
    return true;
}

/* The words that hint at a secret, by their first letter; ends with NULL. */
static const char *const *words_with(char first)
{
    static const char
        *const none[] = { NULL },
               *const a[] = { "auth", NULL },
               *const c[] = { "cookie", "csrf", "credential", NULL },
               *const j[] = { "jwt", NULL }, *const k[] = { "key", NULL },
               *const o[] = { "otp", NULL }, *const p[] = { "passw", "pwd", NULL },
               *const s[] = { "secret", "session", "signature", "saml", NULL },
               *const t[] = { "token", NULL }, *const x[] = { "xsrf", NULL },
               *const percent[] = { "%", NULL };

    switch (lower(first)) {
    case 'a':
        return a;
    case 'c':
        return c;
    case 'j':
        return j;
    case 'k':
        return k;
    case 'o':
        return o;
    case 'p':
        return p;
    case 's':
        return s;
    case 't':
        return t;
    case 'x':
        return x;
    case '%':
        return percent;
    default:
        return none;
    }
}

/* A name in percent-encoding counts as secret: its letters cannot be compared. */
bool redact_is_secret(struct str name)
{
    for (; !str_empty(name); name = str_skip(name, 1))
        for (const char *const *word = words_with(name.at[0]); *word; word++)
            if (begins(name, *word))
                return true;
    return false;
}

bool redact_has_url(struct str name)
{
    static const char *const names[] = { "referer", "location", "content-location",
                                         "refresh", "link" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, str_of(names[i])))
            return true;
    return false;
}

static void put_parameter(struct str pair, bool queries,
                          void (*put)(void *owner, struct str piece), void *owner)
{
    struct str name;
    struct str value = str_cut(pair, '=', &name);

    put(owner, name);
    if (!value.at)
        return;
    put(owner, STR("="));
    put(owner, queries && !redact_is_secret(name) ? value : STR(REDACTED));
}

void redact_path(struct str path, bool queries,
                 void (*put)(void *owner, struct str piece), void *owner)
{
    struct str before;
    struct str query = str_cut(path, '?', &before);
    const char *mark = "?";

    put(owner, before);
    while (query.at) {
        struct str pair;
        query = str_cut(query, '&', &pair);
        put(owner, str_of(mark));
        put_parameter(pair, queries, put, owner);
        mark = "&";
    }
}
