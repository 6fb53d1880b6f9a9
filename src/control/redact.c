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
    static const char *const
        none[] = { NULL },
        *const a[] = { "auth", "assertion", NULL },
        *const c[] = { "cookie", "csrf", "credential", NULL },
        *const j[] = { "jwt", NULL }, *const k[] = { "key", NULL },
        *const o[] = { "otp", "oidc", NULL },
        *const p[] = { "passw", "passphrase", "pwd", NULL },
        *const s[] = { "secret", "session", "signature", "saml", "sec-websocket-protocol",
                       NULL },
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

/* With the words that are too short to be looked for in the middle of a name. */
static bool is_secret_parameter(struct str name)
{
    return redact_is_secret(name) || str_ieq(name, STR("code")) ||
           str_ieq(name, STR("sig")) || str_ieq(name, STR("pass"));
}

static size_t length_until(struct str text, const char *marks)
{
    size_t n = 0;

    while (n < text.len && (!text.at[n] || !strchr(marks, text.at[n])))
        n++;
    return n;
}

static bool has(struct str text, char c)
{
    return text.len && memchr(text.at, c, text.len);
}

bool redact_changes(struct str path)
{
    return has(path, '?') || has(path, '#') || has(path, '@');
}

static bool has_scheme(struct str value)
{
    while (value.at) {
        struct str before;
        value = str_cut(value, ':', &before);
        if (str_starts(value, STR("//")))
            return true;
    }
    return false;
}

bool redact_has_url(struct str name, struct str value)
{
    static const char *const names[] = { "referer", "location", "content-location",
                                         "refresh", "link" };

    if (str_starts(value, STR("/")) || has_scheme(value))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, str_of(names[i])))
            return true;
    return false;
}

typedef void redact_put(void *owner, struct str piece);

/* Without what is before the "@" of each "//user:password@host". */
static void put_text(struct str text, redact_put *put, void *owner)
{
    const char *slashes;

    while (text.len && (slashes = memmem(text.at, text.len, "//", 2))) {
        size_t before = (size_t)(slashes - text.at) + 2;
        put(owner, str_first(text, before));
        text = str_skip(text, before);
        struct str user;
        struct str host =
            str_cut_last(str_first(text, length_until(text, "/?# <>\"")), '@', &user);
        if (host.at && user.len) {
            put(owner, STR(REDACTED));
            text = str_skip(text, user.len);
        }
    }
    put(owner, text);
}

/* Is there another parameter in the value of one, like in "1;token=2", "/a?code=2" or, in
 * percent-encoding, "%2Fa%3Fcode%3D2"? */
static bool hides_secret(struct str value)
{
    size_t begin = 0;

    for (size_t i = 0; i < value.len; i++) {
        struct str rest = str_skip(value, i);
        char c = value.at[i];
        if (c == '=' && is_secret_parameter(str_skip(str_first(value, i), begin)))
            return true;
        if (begins(rest, "%3d"))
            return true;
        if (c && strchr("=;?, <\"", c))
            begin = i + 1;
    }
    return false;
}

static void put_parameter(struct str pair, bool queries, redact_put *put, void *owner)
{
    struct str name;
    struct str value = str_cut(pair, '=', &name);

    put_text(name, put, owner);
    if (!value.at)
        return;
    put(owner, STR("="));
    if (queries && !is_secret_parameter(name) && !hides_secret(value))
        put_text(value, put, owner);
    else
        put(owner, STR(REDACTED));
}

void redact_path(struct str path, bool queries,
                 void (*put)(void *owner, struct str piece), void *owner)
{
    size_t n = length_until(path, "?#");

    put_text(str_first(path, n), put, owner);
    for (path = str_skip(path, n); path.len; path = str_skip(path, n)) {
        put(owner, str_first(path, 1));
        path = str_skip(path, 1);
        n = length_until(path, "&#");
        put_parameter(str_first(path, n), queries, put, owner);
    }
}
