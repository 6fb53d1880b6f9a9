/* kube/credentials.c - what goes into the Authorization header, at this moment */
#include "kube/credentials.h"

#include "base/log.h"
#include "base/own.h"
#include "base/base64.h"
#include "kube/file.h"

#define LOG_MODULE LOG_KUBE
#define TOKEN_MAX (64u << 10)
#define TOKEN_FRESH_MS 60000

static char *basic(const char *username, const char *password)
{
    AUTO_FREE char *pair =
        xasprintf("%s:%s", username ? username : "", password ? password : "");
    AUTO_FREE char *encoded = base64_encode(str_of(pair));
    return xasprintf("Basic %s", encoded);
}

void credentials_init(struct credentials *c, const struct kube_target *target)
{
    *c = (struct credentials){ .target = target };
    if (target->token)
        c->header = xasprintf("Bearer %s", target->token);
    else if (target->username || target->password)
        c->header = basic(target->username, target->password);
}

void credentials_finish(struct credentials *c)
{
    free(TAKE(c->header));
}

/* A token is one word; anything else would end up as another header field. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f)
            return false;
    return !str_empty(s);
}

static enum err read_token(struct credentials *c, struct diag *why)
{
    const char *path = c->target->token_file;
    AUTO_FREE char *text = NULL;
    size_t len;
    enum err e = file_read_regular(path, TOKEN_MAX, &text, &len, why);

    if (e)
        return e;
    struct str token = str_trim_space((struct str){ text, len });
    if (!is_token(token))
        return diag_set(why, ERR_CONFIG, "%s: holds no token", path);
    free(c->header);
    c->header = xasprintf("Bearer %.*s", STR_ARG(token));
    return OK;
}

const char *credentials_header(struct credentials *c, uint64_t now)
{
    struct diag why = { "" };

    if (!c->target->token_file || now < c->fresh_until)
        return c->header;
    c->fresh_until = now + TOKEN_FRESH_MS;
    enum err e = read_token(c, &why);
    if (e && !c->unreadable)
        log_warn(NO_ID, "token file unreadable, keeping the old token",
                 LOG_S("why", diag_text(&why, e)));
    c->unreadable = e != OK;
    return c->header;
}

bool credentials_doubt(struct credentials *c)
{
    c->fresh_until = 0;
    return c->target->token_file != NULL;
}
