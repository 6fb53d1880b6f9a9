/* kube/credentials.c - the credential of one user, at this moment */
#include "kube/credentials.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/own.h"
#include "kube/exec_plugin.h"
#include "kube/secret.h"
#include "kube/watched_file.h"

#define LOG_MODULE LOG_KUBE
#define TOKEN_MAX (64u << 10)

struct credentials {
    const struct kube_target *target; /* borrowed */
    struct loop *loop;
    struct credential *current; /* NULL: none yet */
    uint64_t generation;        /* of the last one that was made */
    struct list_node waiting;   /* struct credentials_want, for files */
    struct watched_file token;
    struct exec_plugin *plugin; /* or NULL */
    uint64_t source_generation; /* of the plugin's secret that `current` was made of */
    struct timer poll;          /* while a file is read for the first time */
};

static char *basic(const char *username, const char *password)
{
    AUTO_FREE char *pair =
        xasprintf("%s:%s", username ? username : "", password ? password : "");
    AUTO_FREE char *encoded = base64_encode(str_of(pair));
    return xasprintf("Basic %s", encoded);
}

static void set_authorization(struct credentials *c, const char *authorization)
{
    credential_unref(c->current);
    c->current = credential_create(c->target, authorization, ++c->generation);
}

static void wake_all(struct credentials *c)
{
    list_for_each (w, &c->waiting, struct credentials_want, waiting) {
        list_remove(&w->waiting);
        task_wake(w->wake);
    }
}

static void on_poll(struct timer *t)
{
    wake_all(container_of(t, struct credentials, poll));
}

static void set_at_once(struct credentials *c)
{
    const struct kube_target *t = c->target;
    AUTO_FREE char *authorization = NULL;

    if (t->token)
        authorization = xasprintf("Bearer %s", t->token);
    else if (t->username || t->password)
        authorization = basic(t->username, t->password);
    if (authorization || !(t->token_file || t->source))
        set_authorization(c, authorization);
    secret_free(TAKE(authorization));
}

struct credentials *credentials_create(struct loop *l, const struct kube_target *target,
                                       struct exec_plugins *plugins)
{
    struct credentials *c = xcalloc(1, sizeof(*c));

    c->target = target;
    c->loop = l;
    list_init(&c->waiting);
    timer_init(&c->poll, loop_sched(l), on_poll);
    watched_file_init(&c->token, "tokenFile", target->token_file, NULL, TOKEN_MAX);
    if (target->source == SOURCE_EXEC)
        c->plugin = exec_plugin_get(plugins, target);
    set_at_once(c);
    return c;
}

void credentials_destroy(struct credentials *c)
{
    if (!c)
        return;
    list_for_each (w, &c->waiting, struct credentials_want, waiting)
        list_remove(&w->waiting);
    timer_stop(&c->poll);
    watched_file_finish(&c->token);
    exec_plugin_unref(c->plugin);
    credential_unref(c->current);
    free(c);
}

/* A token is one word; anything else would end up as another header field. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f)
            return false;
    return !str_empty(s);
}

static void take_token(struct credentials *c)
{
    struct str token = str_trim_space(str_of(c->token.text));

    if (!is_token(token)) {
        log_warn(NO_ID, "the token file holds no token, keeping the old one",
                 LOG_S("file", c->token.path));
        return;
    }
    AUTO_FREE char *authorization = xasprintf("Bearer %.*s", STR_ARG(token));
    set_authorization(c, authorization);
    explicit_bzero(authorization, strlen(authorization));
}

static enum err wait_for_file(struct credentials *c, struct credentials_want *w,
                              struct diag *why)
{
    credentials_leave(w);
    list_append(&c->waiting, &w->waiting);
    if (!c->poll.at)
        timer_set(&c->poll, WATCHED_FILE_POLL_MS);
    return diag_set(why, ERR_AGAIN, "tokenFile %s is being read", c->token.path);
}

static enum err look_at_file(struct credentials *c, struct credentials_want *w,
                             struct diag *why)
{
    if (watched_file_look(&c->token, loop_sched(c->loop)->now))
        take_token(c);
    if (c->current)
        return OK;
    if (watched_file_is_pending(&c->token) && !c->token.unreadable)
        return wait_for_file(c, w, why);
    return diag_set(why, ERR_CREDENTIALS, "tokenFile %s: %s", c->token.path,
                    c->token.text ? "it holds no token" : "it cannot be read");
}

static void take_secret(struct credentials *c, const struct secret *s)
{
    char *authorization = s->token ? xasprintf("Bearer %s", s->token) : NULL;

    set_authorization(c, authorization);
    secret_free(authorization);
}

static enum err look_at_plugin(struct credentials *c, struct credentials_want *w,
                               struct diag *why)
{
    const struct secret *secret;
    uint64_t generation;
    enum err e = exec_plugin_want(c->plugin, w, &secret, &generation, why);

    if (e || generation == c->source_generation)
        return e;
    c->source_generation = generation;
    take_secret(c, secret);
    return OK;
}

enum err credentials_get(struct credentials *c, struct credentials_want *w,
                         struct credential **ret, struct diag *why)
{
    enum err e = c->plugin ? look_at_plugin(c, w, why) : look_at_file(c, w, why);

    if (e)
        return e;
    *ret = credential_ref(c->current);
    return OK;
}

void credentials_leave(struct credentials_want *w)
{
    if (w->waiting.next)
        list_remove(&w->waiting);
    else
        list_init(&w->waiting);
}

bool credentials_reject(struct credentials *c, uint64_t generation)
{
    if (!c->current || generation != c->current->generation)
        return true;
    if (c->plugin)
        exec_plugin_reject(c->plugin, c->source_generation);
    return c->plugin || watched_file_doubt(&c->token);
}

bool credentials_are_missing(struct credentials *c, struct diag *why)
{
    return c->plugin && exec_plugin_is_missing(c->plugin, why);
}

bool credentials_are_interactive(struct credentials *c)
{
    return c->plugin && exec_plugin_is_interactive(c->plugin);
}
