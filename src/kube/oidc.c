/* kube/oidc.c - the auth-provider "oidc": an id-token, which is refreshed when it expires
 *
 * THEORY OF OPERATION
 *
 *   IDLE ─▶ DISCOVERY ─▶ TOKEN ─▶ (TOKEN once more) ─▶ IDLE      a refresh
 *                                                       │
 *                                                    writing: tried until the lock is free
 *
 * One refresh at a time, for all that wait (renewal.h).  The token endpoint gets
 * the client's secret in the header, as OAuth prefers, and with it in the body where that is
 * refused.
 */
#include "kube/oidc.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "base/file.h"
#include "base/utf8.h"
#include "kube/jwt.h"
#include "kube/kubeconfig.h"
#include "kube/kubeconfig_write.h"
#include "kube/oidc_answers.h"

LOG_MODULE(kube);

#define LEEWAY_MS 10000 /* the id-token is not used in its last ten seconds */
#define CALL_MS 30000
#define BODY_MAX (256u << 10)
#define LOCK_POLL_MS 200
#define LOCK_TRIES 25
#define CA_MAX (1u << 20)
#define SHOWN 80 /* bytes of the issuer in messages */

enum oidc_state { OIDC_IDLE, OIDC_DISCOVERY, OIDC_TOKEN };

struct oidc {
    unsigned refs;
    struct list_node node;
    struct loop *loop;
    struct transfers *transfers; /* its own: clusters come and go */
    char *path, *user;           /* where the tokens stand */
    char *issuer, *client_id, *client_secret;
    char *ca, *ca_file; /* PEM; its file */
    char *id, *refresh; /* tokens, or NULL */
    /* The tokens in the file when it was last read or written.  If new tokens could not be
     * written, the old ones in the file must not replace them. */
    char *file_id, *file_refresh;
    char *endpoint; /* of tokens, once it is known */
    bool in_body;   /* the client's secret: the header was refused */
    enum oidc_state state;
    struct transfer *transfer;
    struct task step;
    struct renewal renewal;
    struct timer lock; /* it is tried again then */
    unsigned lock_tries;
};

/* ---- the kubeconfig ---- */

static enum err check_oidc(const struct text_pairs *config, struct diag *why)
{
    static const char *const needed[] = { "idp-issuer-url", "client-id" };

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        const char *value = kc_pair(config, needed[i]);
        if (!value || !*value)
            return diag_set(why, ERR_CONFIG,
                            "must provide %s for the auth-provider \"oidc\"", needed[i]);
    }
    const char *issuer = kc_pair(config, "idp-issuer-url");
    if (!str_starts(str_of(issuer), STR("https://")) &&
        !str_starts(str_of(issuer), STR("http://")))
        return diag_set(why, ERR_CONFIG, "idp-issuer-url \"%s\" is no URL", issuer);
    return OK;
}

enum err auth_provider_check(const struct kc_user *user, struct diag *why)
{
    const char *name = user->auth_provider->name ? user->auth_provider->name : "";

    if (strcmp(name, "oidc") == 0)
        return check_oidc(&user->auth_provider->config, why);
    if (strcmp(name, "gcp") == 0)
        return diag_set(why, ERR_CONFIG,
                        "the auth-provider \"gcp\" was removed from kubectl: install "
                        "gke-gcloud-auth-plugin, and run gcloud container clusters "
                        "get-credentials");
    if (strcmp(name, "azure") == 0)
        return diag_set(why, ERR_CONFIG,
                        "the auth-provider \"azure\" was removed from kubectl: install "
                        "kubelogin, and run kubelogin convert-kubeconfig");
    return diag_set(why, ERR_CONFIG, "no auth-provider \"%s\" is known", name);
}

static char *config_of(const struct kc_user *u, const char *key)
{
    const char *value = kc_pair(&u->auth_provider->config, key);
    return value && *value ? xstrdup(value) : NULL;
}

static char *oidc_decode(const char *encoded)
{
    char *text = NULL;
    size_t len;

    return encoded && base64_decode(str_of(encoded), &text, &len) == OK ? text : NULL;
}

/* Ten seconds early; a token without an expiry has expired. */
static int64_t expiry_of(const char *id)
{
    int64_t at = 0;

    if (!id || jwt_expiry(str_of(id), &at))
        return 0;
    return at > LEEWAY_MS ? at - LEEWAY_MS : 0;
}

static bool is_usable(const char *id)
{
    return expiry_of(id) > wall_clock_ms();
}

static void use_id_token(struct oidc *o)
{
    struct secret s = { .token = xstrdup(o->id), .expires_at = expiry_of(o->id) };
    renewal_succeed(&o->renewal, &s);
}

static void on_step(struct task *t);
static void on_lock(struct timer *t);

static struct oidc *oidc_create(struct loop *l, const struct kc_user *u)
{
    AUTO_FREE char *ca_data = config_of(u, "idp-certificate-authority-data");
    AUTO_FREE char *ca_file = config_of(u, "idp-certificate-authority");
    struct oidc *o = xcalloc(1, sizeof(*o));

    o->loop = l;
    o->transfers = transfers_create(l);
    o->path = xstrdup(u->entry.file);
    o->user = xstrdup(u->entry.name);
    o->issuer = config_of(u, "idp-issuer-url");
    o->client_id = config_of(u, "client-id");
    o->client_secret = config_of(u, "client-secret");
    o->ca = oidc_decode(ca_data);
    o->ca_file = ca_file ? file_beside(u->entry.file, ca_file) : NULL;
    o->id = config_of(u, "id-token");
    o->refresh = config_of(u, "refresh-token");
    o->file_id = xstrdup_or_null(o->id);
    o->file_refresh = xstrdup_or_null(o->refresh);
    renewal_init(&o->renewal, loop_sched(l),
                 xasprintf("oidc provider \"%.*s\"",
                           STR_ARG(str_first(str_of(o->issuer), SHOWN))));
    text_make_printable(o->renewal.label, false);
    task_init(&o->step, loop_sched(l), RANK_READ, on_step);
    timer_init(&o->lock, loop_sched(l), on_lock);
    if (is_usable(o->id))
        use_id_token(o);
    return o;
}

static bool oidc_is_same(const char *a, const char *b)
{
    return str_eq(str_of(a), str_of(b));
}

static bool is_same_authority(const struct oidc *o, const struct kc_user *u)
{
    AUTO_FREE char *data = config_of(u, "idp-certificate-authority-data");
    AUTO_FREE char *file = config_of(u, "idp-certificate-authority");
    AUTO_FREE char *ca = oidc_decode(data);
    AUTO_FREE char *ca_file = file ? file_beside(u->entry.file, file) : NULL;

    return oidc_is_same(o->ca, ca) && oidc_is_same(o->ca_file, ca_file);
}

/* The tokens are not compared: they change. */
static bool is_of(const struct oidc *o, const struct kc_user *u)
{
    const struct text_pairs *config = &u->auth_provider->config;

    return oidc_is_same(o->path, u->entry.file) && oidc_is_same(o->user, u->entry.name) &&
           oidc_is_same(o->issuer, kc_pair(config, "idp-issuer-url")) &&
           oidc_is_same(o->client_id, kc_pair(config, "client-id")) &&
           oidc_is_same(o->client_secret, kc_pair(config, "client-secret")) &&
           is_same_authority(o, u);
}

struct oidc *oidc_get(struct loop *l, struct list_node *among,
                      const struct kube_target *target)
{
    list_for_each (o, among, struct oidc, node)
        if (is_of(o, target->user)) {
            o->refs++;
            return o;
        }
    struct oidc *made = oidc_create(l, target->user);
    made->refs = 1;
    list_append(among, &made->node);
    return made;
}

void oidc_unref(struct oidc *o)
{
    if (!o || --o->refs)
        return;
    list_remove(&o->node);
    transfer_close(o->transfer);
    transfers_destroy(o->transfers);
    task_cancel(&o->step);
    timer_stop(&o->lock);
    renewal_finish(&o->renewal);
    char *const texts[] = { o->path,     o->user,    o->issuer,  o->client_id,
                            o->ca,       o->id,      o->refresh, o->client_secret,
                            o->endpoint, o->ca_file, o->file_id, o->file_refresh };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        secret_free(texts[i]);
    free(o);
}

/* ---- the file: what others have written, and what we have to write ---- */

static void oidc_take(char **slot, const char *value)
{
    if (!value || !*value || (*slot && strcmp(*slot, value) == 0))
        return;
    secret_free(*slot);
    *slot = xstrdup(value);
}

static void take_from_file(char **slot, char **seen, const char *value)
{
    if (oidc_is_same(*seen, value))
        return;
    oidc_take(seen, value);
    oidc_take(slot, value);
}

/* True: there is another id-token in it, and a good one. */
static bool read_again(struct oidc *o)
{
    AUTO(kubeconfig_destroyp) struct kubeconfig *kc = NULL;
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *before = xstrdup_or_null(o->id);
    struct diag why;
    size_t len;

    if (file_read_regular(o->path, KUBECONFIG_MAX, &text, &len, &why) ||
        kubeconfig_parse((struct str){ text, len }, o->path, &kc, &why))
        return false;
    const struct kc_user *u = kubeconfig_user(kc, o->user);
    if (!u || !u->auth_provider)
        return false;
    const struct text_pairs *config = &u->auth_provider->config;
    take_from_file(&o->id, &o->file_id, kc_pair(config, "id-token"));
    take_from_file(&o->refresh, &o->file_refresh, kc_pair(config, "refresh-token"));
    return is_usable(o->id) && (!before || strcmp(before, o->id) != 0);
}

static void write_tokens(struct oidc *o)
{
    const struct yaml_edit edits[] = { { "id-token", o->id },
                                       { "refresh-token", o->refresh } };
    struct diag why = { "" };
    enum err e =
        kubeconfig_write_provider(o->path, o->user, edits, o->refresh ? 2 : 1, &why);

    if (e == ERR_IN_USE && ++o->lock_tries < LOCK_TRIES) {
        timer_set(&o->lock, LOCK_POLL_MS);
        return;
    }
    if (e) {
        log_warn(NO_ID, "the new tokens could not be written into the kubeconfig",
                 LOG_S("reason", diag_text(&why, e)));
        return;
    }
    oidc_take(&o->file_id, o->id);
    oidc_take(&o->file_refresh, o->refresh);
    log_info(NO_ID, "new tokens written into the kubeconfig", LOG_S("file", o->path),
             LOG_S("user", o->user));
}

static void on_lock(struct timer *t)
{
    write_tokens(container_of(t, struct oidc, lock));
}

/* ---- the provider ---- */

static void oidc_fail(struct oidc *o, const struct diag *why)
{
    transfer_close(TAKE(o->transfer));
    o->state = OIDC_IDLE;
    renewal_fail(&o->renewal, why);
}

static enum err oidc_make_identity(struct oidc *o, struct tls_identity **ret,
                                   struct diag *why)
{
    AUTO_FREE char *read = NULL;
    size_t len;

    if (!o->ca && o->ca_file) {
        enum err e = file_read_regular(o->ca_file, CA_MAX, &read, &len, why);
        if (e)
            return diag_prefix(why, e, "idp-certificate-authority");
    }
    const struct tls_identity_settings settings = {
        .ca = { o->ca ? o->ca : read, "idp-certificate-authority" },
    };
    return tls_identity_create(&settings, ret, NULL, why);
}

static void call(struct oidc *o, const char *method, const char *url,
                 const char *const *headers, const char *body)
{
    AUTO(tls_identity_unrefp) struct tls_identity *identity = NULL;
    struct diag why = { "" };

    transfer_close(TAKE(o->transfer));
    if (oidc_make_identity(o, &identity, &why)) {
        oidc_fail(o, &why);
        return;
    }
    const struct transfer_request request = { .method = method,
                                              .url = url,
                                              .headers = headers,
                                              .body = body,
                                              .identity = identity,
                                              .timeout_ms = CALL_MS,
                                              .stall_ms = CALL_MS,
                                              .body_limit = BODY_MAX };
    o->transfer = transfer_open(o->transfers, &request, &o->step);
    task_wake(&o->step);
}

static void call_discovery(struct oidc *o)
{
    static const char *const headers[] = { "Accept: application/json", NULL };
    size_t len = strlen(o->issuer);
    AUTO_FREE char *url =
        xasprintf("%.*s/.well-known/openid-configuration",
                  (int)(len && o->issuer[len - 1] == '/' ? len - 1 : len), o->issuer);

    o->state = OIDC_DISCOVERY;
    call(o, "GET", url, headers, NULL);
}

/* RFC 6749, 2.3.1: both are escaped before they are put together. */
static char *client_authorization(const struct oidc *o)
{
    AUTO_FREE char *id = oidc_escape(o->client_id);
    char *secret = oidc_escape(o->client_secret ? o->client_secret : "");
    char *pair = xasprintf("%s:%s", id, secret);
    char *encoded = base64_encode(str_of(pair));
    char *field = xasprintf("Authorization: Basic %s", encoded);

    secret_free(secret);
    secret_free(pair);
    secret_free(encoded);
    return field;
}

static void call_token(struct oidc *o)
{
    static const char *const names[] = { "grant_type", "refresh_token", "client_id",
                                         "client_secret" };
    const char *const values[] = { "refresh_token", o->refresh,
                                   o->in_body ? o->client_id : NULL,
                                   o->in_body ? o->client_secret : NULL };
    char *body = oidc_form(names, values, ARRAY_LEN(names));
    char *authorization = o->in_body ? NULL : client_authorization(o);
    const char *const headers[] = { "Accept: application/json",
                                    "Content-Type: application/x-www-form-urlencoded",
                                    authorization, NULL };

    o->state = OIDC_TOKEN;
    call(o, "POST", o->endpoint, headers, body);
    secret_free(body);
    secret_free(authorization);
}

static void oidc_begin(struct oidc *o)
{
    struct diag why;

    renewal_begin(&o->renewal);
    if (read_again(o)) {
        use_id_token(o);
        return;
    }
    if (!o->refresh) {
        diag_set(&why, ERR_CREDENTIALS,
                 "the id-token has expired, and there is no refresh-token: log in again");
        renewal_fail(&o->renewal, &why);
        return;
    }
    if (o->endpoint)
        call_token(o);
    else
        call_discovery(o);
}

static void take_discovery(struct oidc *o, struct str text)
{
    bool secure = str_starts(str_of(o->issuer), STR("https://"));
    struct diag why = { "" };

    if (o->transfer->status != 200)
        diag_set(&why, ERR_PROTO, "its discovery document: status %d",
                 o->transfer->status);
    else if (oidc_read_discovery(text, secure, &o->endpoint, &why) == OK)
        call_token(o);
    if (why.text[0])
        oidc_fail(o, &why);
}

static void take_tokens(struct oidc *o, struct str text)
{
    struct oidc_tokens tokens = { 0 };
    struct diag why = { "" };
    int status = o->transfer->status;

    enum err e = oidc_read_tokens(status, text, &tokens, &why);
    if (e) {
        if (e == ERR_CREDENTIALS && !o->in_body && status / 100 == 4) {
            o->in_body = true;
            call_token(o);
            return;
        }
        o->in_body = false;
        free(TAKE(o->endpoint)); /* it may have moved */
        oidc_fail(o, &why);
        return;
    }
    transfer_close(TAKE(o->transfer));
    o->state = OIDC_IDLE;
    oidc_take(&o->id, tokens.id);
    oidc_take(&o->refresh, tokens.refresh);
    oidc_tokens_finish(&tokens);
    o->lock_tries = 0;
    write_tokens(o);
    use_id_token(o);
}

static void take_response(struct oidc *o)
{
    struct bufq *body = &o->transfer->body;
    size_t len = body->len;
    char *text = xmalloc(len + 1);

    len = bufq_read(body, text, len);
    text[len] = '\0';
    if (o->state == OIDC_DISCOVERY)
        take_discovery(o, (struct str){ text, len });
    else
        take_tokens(o, (struct str){ text, len });
    explicit_bzero(text, len);
    free(text);
}

static void on_step(struct task *t)
{
    struct oidc *o = container_of(t, struct oidc, step);
    struct diag why;

    if (!o->transfer)
        return;
    if (o->transfer->result == ERR_AGAIN && bufq_room(&o->transfer->body))
        return;
    if (o->transfer->result) {
        why = o->transfer->why;
        if (o->transfer->result == ERR_AGAIN)
            diag_set(&why, ERR_LIMIT, "its answer is too long");
        oidc_fail(o, &why);
        return;
    }
    take_response(o);
}

/* ---- callers ---- */

/* For a caller when its API server has refused the present id-token, or where there is none. */
static enum err oidc_renew(struct oidc *o, struct credentials_want *w, struct diag *why)
{
    enum renewal_state state = renewal_look(&o->renewal, w->background);

    if (state == RENEWAL_DUE) {
        oidc_begin(o);
        state = renewal_look(&o->renewal, w->background);
    }
    if (state == RENEWAL_RUNS) {
        renewal_wait(&o->renewal, w);
        return diag_set(why, ERR_AGAIN, "%s has not answered yet", o->renewal.label);
    }
    return state == RENEWAL_PAUSED
               ? diag_set(why, ERR_CREDENTIALS, "%s", o->renewal.why.text)
               : OK;
}

enum err oidc_want(struct oidc *o, uint64_t refused, struct credentials_want *w,
                   const struct secret **ret, uint64_t *ret_generation, struct diag *why)
{
    enum err e = renewal_serves(&o->renewal, refused) ? OK : oidc_renew(o, w, why);

    if (e)
        return e;
    *ret = &o->renewal.secret;
    *ret_generation = o->renewal.generation;
    return OK;
}

void oidc_on_kubeconfig(struct oidc *o)
{
    if (o->state == OIDC_IDLE && read_again(o))
        use_id_token(o);
}

void oidc_reject(struct oidc *o, uint64_t generation)
{
    renewal_reject(&o->renewal, generation);
}

bool oidc_is_missing(const struct oidc *o, uint64_t refused, struct diag *why)
{
    enum renewal_state state = renewal_look(&o->renewal, true);

    if (state == RENEWAL_VALID || renewal_serves(&o->renewal, refused))
        return false;
    if (state == RENEWAL_RUNS || !o->renewal.why.text[0])
        diag_set(why, ERR_CREDENTIALS, "%s has not answered yet", o->renewal.label);
    else
        diag_set(why, ERR_CREDENTIALS, "%s", o->renewal.why.text);
    return true;
}
