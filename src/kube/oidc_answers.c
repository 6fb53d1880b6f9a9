#include "kube/oidc_answers.h"

#include <jansson.h>

#include "base/own.h"

#define WORDS_SHOWN 100

char *oidc_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *escaped = xmalloc(3 * strlen(text) + 1), *at = escaped;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
            strchr("-._~", c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return escaped;
}

char *oidc_form(const char *const names[], const char *const values[], size_t count)
{
    char *form = xstrdup("");

    for (size_t i = 0; i < count; i++) {
        if (!values[i])
            continue;
        char *before = form, *value = oidc_escape(values[i]);
        form = xasprintf("%s%s%s=%s", before, *before ? "&" : "", names[i], value);
        secret_free(before);
        secret_free(value);
    }
    return form;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

enum err oidc_read_discovery(struct str text, bool secure, char **ret, struct diag *why)
{
    json_auto_t *object = json_loadb(text.at, text.len, 0, NULL);
    const char *endpoint = text_at(object, "token_endpoint");

    if (!*endpoint)
        return diag_set(why, ERR_PROTO, "its discovery document names no token_endpoint");
    if (!str_starts(str_of(endpoint), STR("https://")) &&
        (secure || !str_starts(str_of(endpoint), STR("http://"))))
        return diag_set(why, ERR_PROTO,
                        "the token_endpoint of its discovery document is no https URL");
    *ret = xstrdup(endpoint);
    return OK;
}

void oidc_tokens_finish(struct oidc_tokens *t)
{
    secret_free(t->id);
    secret_free(t->refresh);
    *t = (struct oidc_tokens){ 0 };
}

static enum err refused(int status, const json_t *object, struct diag *why)
{
    struct str error = str_first(str_of(text_at(object, "error")), WORDS_SHOWN);
    struct str words =
        str_first(str_of(text_at(object, "error_description")), WORDS_SHOWN);

    diag_set(why, ERR_CREDENTIALS, "failed to refresh the token: %.*s%s%.*s (status %d)",
             STR_ARG(error), str_empty(words) ? "" : ": ", STR_ARG(words), status);
    return str_eq(error, STR("invalid_grant")) ? ERR_GONE : ERR_CREDENTIALS;
}

/* They become a header field and a text in a YAML file. */
static bool is_token(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
            return false;
    return true;
}

enum err oidc_read_tokens(int status, struct str text, struct oidc_tokens *ret,
                          struct diag *why)
{
    json_auto_t *object = json_loadb(text.at, text.len, 0, NULL);
    const char *id = text_at(object, "id_token");
    const char *refresh = text_at(object, "refresh_token");

    if (status / 100 != 2)
        return refused(status, object, why);
    if (!*id)
        return diag_set(
            why, ERR_PROTO,
            "its answer holds no id_token: the login did not request the scope "
            "openid, or the provider gives none for a refresh-token");
    if (!is_token(id) || !is_token(refresh))
        return diag_set(why, ERR_PROTO, "its answer holds tokens that are none");
    *ret = (struct oidc_tokens){ .id = xstrdup(id),
                                 .refresh = *refresh ? xstrdup(refresh) : NULL };
    return OK;
}
