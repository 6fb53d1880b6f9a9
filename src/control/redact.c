/* control/redact.c - what of a request may be shown */
#include "control/redact.h"

#include "base/own.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool begins(struct str text, struct str word)
{
    if (text.len < word.len)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (lower(text.at[i]) != word.at[i])
            return false;
    return true;
}

/* A name in percent-encoding counts as secret: its letters cannot be compared. */
bool redact_is_secret(struct str name)
{
    static const char *const words[] = {
        "auth", "cookie", "key",       "token",      "secret", "passw", "pwd", "session",
        "csrf", "xsrf",   "signature", "credential", "jwt",    "saml",  "otp", "%",
    };

    for (; !str_empty(name); name = str_skip(name, 1))
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (begins(name, str_of(words[i])))
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
