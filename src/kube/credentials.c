/* kube/credentials.c - the credential of one user, at this moment
 *
 * It consists of header fields and the TLS identity of the connection.  If either changes, a
 * new credential with the next generation is made.
 */
#include "kube/credentials.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/own.h"
#include "kube/exec_plugin.h"
#include "kube/identity_files.h"
#include "kube/oidc.h"
#include "kube/secret.h"
#include "kube/watched_file.h"
#include "net/tls_identity.h"

LOG_MODULE(kube);

#define TOKEN_MAX (64u << 10)

struct credentials {
    const struct kube_target *target; /* borrowed */
    struct loop *loop;
    struct credential *current; /* NULL: none yet */
    uint64_t generation;        /* of the last one that was made */
    char *authorization;        /* for the next one */
    struct tls_identity *identity;
    struct list_node waiting; /* struct credentials_want, for files */
    struct watched_file token;
    struct identity_files files;
    struct exec_plugin *plugin; /* the source: plugin, oidc, or neither */
    struct oidc *oidc;
    uint64_t source_generation; /* of the source's secret in `current` */
    uint64_t
        source_refused; /* of the source's secret that our API server rejected; or 0 */
    struct secret pair; /* certificate and key from the source, if any */
    struct timer poll;  /* while a file is read for the first time */
};

static char *basic(const char *username, const char *password)
{
    AUTO_FREE char *pair =
        xasprintf("%s:%s", username ? username : "", password ? password : "");
    AUTO_FREE char *encoded = base64_encode(str_of(pair));
    return xasprintf("Basic %s", encoded);
}

static void make_current(struct credentials *c)
{
    credential_unref(c->current);
    c->current =
        credential_create(c->target, c->authorization, c->identity, ++c->generation);
}

/* Taken over. */
static void set_authorization(struct credentials *c, char *authorization)
{
    secret_free(c->authorization);
    c->authorization = authorization;
    make_current(c);
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

    if (t->token)
        set_authorization(c, xasprintf("Bearer %s", t->token));
    else if (t->username || t->password)
        set_authorization(c, basic(t->username, t->password));
    else if (!t->token_file && t->source == SOURCE_NONE)
        set_authorization(c, NULL);
}

struct credentials *credentials_create(struct loop *l, const struct kube_target *target,
                                       struct exec_plugins *plugins)
{
    struct credentials *c = xcalloc(1, sizeof(*c));

    c->target = target;
    c->loop = l;
    c->identity = tls_identity_ref(target->identity);
    list_init(&c->waiting);
    timer_init(&c->poll, loop_sched(l), on_poll);
    watched_file_init(&c->token, "tokenFile", target->token_file, NULL, TOKEN_MAX);
    identity_files_init(&c->files, target);
    if (target->source == SOURCE_EXEC)
        c->plugin = exec_plugin_get(plugins, target);
    if (target->source == SOURCE_OIDC)
        c->oidc = oidc_get(l, exec_plugins_providers(plugins), target);
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
    identity_files_finish(&c->files);
    exec_plugin_unref(c->plugin);
    oidc_unref(c->oidc);
    credential_unref(c->current);
    tls_identity_unref(c->identity);
    secret_free(c->authorization);
    secret_finish(&c->pair);
    free(c);
}

static uint64_t now_of(const struct credentials *c)
{
    return loop_sched(c->loop)->now;
}

/* ---- files ---- */

/* A token is one word; anything else would end up as another header field. */
static bool credentials_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f)
            return false;
    return !str_empty(s);
}

static void take_token(struct credentials *c)
{
    struct str token = str_trim_space(str_of(c->token.text));

    if (credentials_is_token(token))
        set_authorization(c, xasprintf("Bearer %.*s", STR_ARG(token)));
    else
        log_warn(NO_ID, "the token file holds no token, keeping the old one",
                 LOG_S("file", c->token.path));
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

static enum err look_at_token(struct credentials *c, struct credentials_want *w,
                              struct diag *why)
{
    if (watched_file_look(&c->token, now_of(c)))
        take_token(c);
    if (c->current)
        return OK;
    if (watched_file_is_pending(&c->token) && !c->token.unreadable)
        return wait_for_file(c, w, why);
    return diag_set(why, ERR_CREDENTIALS, "tokenFile %s: %s", c->token.path,
                    c->token.text ? "it holds no token" : "it cannot be read");
}

/* New connections use the new identity; connections with the old one are not reused. */
static bool make_identity(struct credentials *c)
{
    struct tls_identity *made = NULL;

    if (!c->target->tls || identity_files_make(&c->files, &c->pair, now_of(c), &made))
        return false;
    tls_identity_unref(c->identity);
    c->identity = made;
    return true;
}

static void look_at_files(struct credentials *c)
{
    if (!identity_files_look(&c->files, now_of(c)) || !make_identity(c))
        return;
    log_info(NO_ID, "certificates were replaced", LOG_S("context", c->target->context));
    if (c->current)
        make_current(c);
}

/* ---- plugins and providers ---- */

static bool is_same(const char *a, const char *b)
{
    return str_eq(str_of(a), str_of(b));
}

/* Keep an equal certificate, since a new identity would close all connections. */
static void take_pair(struct credentials *c, const struct secret *s)
{
    if (is_same(c->pair.certificate, s->certificate) && is_same(c->pair.key, s->key))
        return;
    secret_finish(&c->pair);
    c->pair.certificate = xstrdup_or_null(s->certificate);
    c->pair.key = xstrdup_or_null(s->key);
    make_identity(c);
}

static void take_secret(struct credentials *c, const struct secret *s)
{
    take_pair(c, s);
    set_authorization(c, s->token ? xasprintf("Bearer %s", s->token) : NULL);
}

static enum err look_at_source(struct credentials *c, struct credentials_want *w,
                               struct diag *why)
{
    const struct secret *secret;
    uint64_t generation;
    enum err e =
        c->plugin
            ? exec_plugin_want(c->plugin, c->source_refused, w, &secret, &generation, why)
            : oidc_want(c->oidc, c->source_refused, w, &secret, &generation, why);

    if (e || generation == c->source_generation)
        return e;
    c->source_generation = generation;
    take_secret(c, secret);
    return OK;
}

enum err credentials_get(struct credentials *c, struct credentials_want *w,
                         struct credential **ret, struct diag *why)
{
    look_at_files(c);
    bool written = c->target->source == SOURCE_NONE;
    enum err e = written ? look_at_token(c, w, why) : look_at_source(c, w, why);

    if (e)
        return e;
    if (c->current->length > CREDENTIAL_MAX)
        return diag_set(why, ERR_CREDENTIALS,
                        "the credentials are too long for a request: %zu bytes of header "
                        "fields",
                        c->current->length);
    *ret = credential_ref(c->current);
    return OK;
}

bool credentials_reject(struct credentials *c, uint64_t generation)
{
    if (!c->current || generation != c->current->generation)
        return true;
    c->source_refused = c->source_generation;
    if (c->plugin)
        exec_plugin_reject(c->plugin, c->source_generation);
    if (c->oidc)
        oidc_reject(c->oidc, c->source_generation);
    bool files = identity_files_recheck(&c->files);
    bool token = watched_file_recheck(&c->token);
    return c->plugin || c->oidc || files || token;
}

void credentials_on_tls_failure(struct credentials *c)
{
    identity_files_recheck(&c->files);
}

void credentials_on_kubeconfig(struct credentials *c)
{
    if (c->oidc)
        oidc_on_kubeconfig(c->oidc);
}

struct tls_identity *credentials_identity(const struct credentials *c)
{
    return c->identity;
}

bool credentials_are_missing(struct credentials *c, struct diag *why)
{
    return (c->plugin && exec_plugin_is_missing(c->plugin, c->source_refused, why)) ||
           (c->oidc && oidc_is_missing(c->oidc, c->source_refused, why));
}

bool credentials_are_interactive(struct credentials *c)
{
    return c->plugin && exec_plugin_is_interactive(c->plugin);
}

const char *credentials_plugin_output(const struct credentials *c)
{
    return c->plugin ? exec_plugin_output(c->plugin) : NULL;
}

int64_t credentials_expiry(const struct credentials *c)
{
    const struct credential *now = c->current;
    int64_t token = now && now->expires_at != NEVER_EXPIRES ? now->expires_at / 1000 : 0;
    int64_t pair = now && now->identity ? tls_identity_expiry(now->identity) : 0;

    return !token || (pair && pair < token) ? pair : token;
}
