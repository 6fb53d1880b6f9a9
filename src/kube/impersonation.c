#include "kube/impersonation.h"

#include <stdio.h>

#include "base/own.h"

/* A byte of a header field's name (RFC 9110, 5.6.2), and not '%', which begins an escaped one. */
static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c && strchr("!#$&'*+-.^_`|~", c));
}

static char *escape(const char *key)
{
    char *escaped = xmalloc(3 * strlen(key) + 1), *at = escaped;

    for (; *key; key++) {
        if (is_plain(*key))
            *at++ = *key;
        else
            at += sprintf(at, "%%%02X", (unsigned)(unsigned char)*key);
    }
    *at = '\0';
    return escaped;
}

/* What would end the line of a header field, or is no text. */
static bool is_value(const char *text)
{
    for (; text && *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool are_values(const struct texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (!is_value(t->at[i]))
            return false;
    return true;
}

enum err impersonation_check(const struct kc_user *user, struct diag *why)
{
    bool valid =
        is_value(user->as) && is_value(user->as_uid) && are_values(&user->as_groups);

    for (size_t i = 0; i < user->as_extra.count; i++)
        valid = valid && are_values(&user->as_extra.at[i].values);
    if (!valid)
        return diag_set(why, ERR_CONFIG,
                        "a control character in what it impersonates (as, as-uid, "
                        "as-groups, as-user-extra)");
    if (!user->as && (user->as_uid || user->as_groups.count || user->as_extra.count))
        return diag_set(why, ERR_CONFIG,
                        "requesting a uid, groups or user-extra without impersonating a "
                        "user: as-uid, as-groups and as-user-extra need as");
    return OK;
}

void impersonation_fields(const struct kc_user *user, struct texts *fields)
{
    if (!user || !user->as)
        return;
    texts_add(fields, xasprintf("Impersonate-User: %s", user->as));
    if (user->as_uid)
        texts_add(fields, xasprintf("Impersonate-Uid: %s", user->as_uid));
    for (size_t i = 0; i < user->as_groups.count; i++)
        texts_add(fields, xasprintf("Impersonate-Group: %s", user->as_groups.at[i]));
    for (size_t i = 0; i < user->as_extra.count; i++) {
        const struct kc_extra *extra = &user->as_extra.at[i];
        AUTO_FREE char *key = escape(extra->name);
        for (size_t v = 0; v < extra->values.count; v++)
            texts_add(fields,
                      xasprintf("Impersonate-Extra-%s: %s", key, extra->values.at[v]));
    }
}
