/* kube/credentials.c - what goes into the Authorization header, at this moment */
#include "kube/credentials.h"

#include "base/log.h"
#include "base/own.h"
#include "base/base64.h"
#include "kube/file_reader.h"

#define LOG_MODULE LOG_KUBE
#define TOKEN_MAX (64u << 10)
#define TOKEN_FRESH_MS 60000
#define WAIT_MS 100
#define PATIENCE_MS 60000

static char *basic(const char *username, const char *password)
{
    AUTO_FREE char *pair =
        xasprintf("%s:%s", username ? username : "", password ? password : "");
    AUTO_FREE char *encoded = base64_encode(str_of(pair));
    return xasprintf("Basic %s", encoded);
}

void credentials_init(struct credentials *c, const struct kube_target *target)
{
    *c = (struct credentials){ .target = target, .patience = PATIENCE_MS };
    if (target->token)
        c->header = xasprintf("Bearer %s", target->token);
    else if (target->username || target->password)
        c->header = basic(target->username, target->password);
}

void credentials_finish(struct credentials *c)
{
    file_reader_destroy(TAKE(c->reader));
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

static enum err take_token(struct credentials *c, struct str text, struct diag *why)
{
    struct str token = str_trim_space(text);

    if (!is_token(token))
        return diag_set(why, ERR_CONFIG, "%s: holds no token", c->target->token_file);
    free(c->header);
    c->header = xasprintf("Bearer %.*s", STR_ARG(token));
    return OK;
}

static void note_unreadable(struct credentials *c, enum err e, const struct diag *why)
{
    if (e && !c->unreadable)
        log_warn(NO_ID, "token file unreadable, keeping the old token",
                 LOG_S("why", diag_text(why, e)));
    c->unreadable = e != OK;
}

/* One that hangs is left, and the file read anew: it may be another mount by now.  Each time
 * the patience doubles, so that few threads hang. */
static void leave_reader(struct credentials *c)
{
    file_reader_destroy(TAKE(c->reader));
    c->patience *= 2;
    c->left = true;
    c->fresh_until = 0;
}

static void on_late(struct credentials *c, uint64_t now)
{
    uint64_t took = now - c->read_at;
    struct diag why;

    if (took < FILE_READ_MS)
        return;
    diag_set(&why, ERR_TIMEOUT, "%s: its file system does not answer",
             c->target->token_file);
    note_unreadable(c, ERR_TIMEOUT, &why);
    if (took >= c->patience)
        leave_reader(c);
}

static void look_at_reader(struct credentials *c, uint64_t now, unsigned max_ms)
{
    struct diag why = { "" };
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    enum err e = file_reader_wait(c->reader, max_ms, &text, &len, &why);

    if (e == ERR_AGAIN) {
        on_late(c, now);
        return;
    }
    file_reader_destroy(TAKE(c->reader));
    c->patience = PATIENCE_MS;
    c->left = false;
    if (!e)
        e = take_token(c, (struct str){ text, len }, &why);
    note_unreadable(c, e, &why);
}

/* A file system that answers does so within microseconds: the token is there for the request
 * at hand.  One that does not costs the loop WAIT_MS once; then it is only looked at. */
static void begin_reader(struct credentials *c, uint64_t now)
{
    unsigned wait = c->left ? 0 : c->header ? WAIT_MS : FILE_READ_MS;

    c->fresh_until = now + TOKEN_FRESH_MS;
    c->read_at = now;
    c->reader = file_reader_create(c->target->token_file, TOKEN_MAX);
    look_at_reader(c, now, wait);
}

const char *credentials_header(struct credentials *c, uint64_t now)
{
    if (!c->target->token_file)
        return c->header;
    if (c->reader)
        look_at_reader(c, now, 0);
    if (!c->reader && now >= c->fresh_until)
        begin_reader(c, now);
    return c->header;
}

bool credentials_doubt(struct credentials *c)
{
    c->fresh_until = 0;
    return c->target->token_file != NULL;
}
