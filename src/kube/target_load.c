/* kube/target_load.c - choose a context and turn it into plain values
 *
 * The rules are client-go's, checks included: what kubectl refuses is refused here, with
 * the line that has it.
 */
#include "kube/target_load.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/own.h"
#include "net/url.h"
#include "kube/exec_plugin.h"
#include "base/file.h"
#include "kube/file_reader.h"
#include "kube/impersonation.h"
#include "kube/kubeconfig.h"
#include "kube/oidc.h"
#include "kube/server_url.h"
#include "kube/service_account.h"

LOG_MODULE(kube);

#define PEM_MAX (1u << 20)
#define TOKEN_MAX (64u << 10)

static void target_freep(struct kube_target **t)
{
    kube_target_destroy(*t);
}

/* "file:12: user "x"" goes before whatever is wrong with an entry. */
static enum err prefix_entry(const struct kc_entry *entry, const char *kind, enum err e,
                             struct diag *why)
{
    return diag_prefix(why, e, "%s:%u: %s \"%s\"", entry->file, entry->line, kind,
                       entry->name);
}

struct pem {
    const struct kc_entry *entry;
    const char *kind;        /* "cluster" */
    const char *what;        /* "certificate-authority" */
    const char *file, *text; /* as the entry has them; text in base64 */
};

/* What "kubectl config view" prints where secrets stand. */
static bool is_left_out(const char *text)
{
    return text && (str_eq(str_of(text), STR("DATA+OMITTED")) ||
                    str_eq(str_of(text), STR("REDACTED")));
}

static enum err left_out(const char *what, const char *text, struct diag *why)
{
    return diag_set(why, ERR_CONFIG,
                    "%s is \"%s\": this file was printed without its secrets; print it "
                    "with \"kubectl config view --raw\"",
                    what, text);
}

static enum err decode(const struct pem *pem, char **ret, struct diag *why)
{
    AUTO_FREE char *what = xasprintf("%s-data", pem->what);
    size_t len;

    if (is_left_out(pem->text))
        return left_out(what, pem->text, why);
    enum err e = base64_decode(str_of(pem->text), ret, &len);
    return e ? diag_set(why, ERR_CONFIG, "%s is not base64", what) : OK;
}

/* *ret_name: for the errors about what is in it. */
static enum err load_pem(const struct pem *pem, char **ret, char **ret_name,
                         struct diag *why)
{
    const struct kc_entry *entry = pem->entry;
    AUTO_FREE char *path = pem->file ? file_beside(entry->file, pem->file) : NULL;
    size_t len;

    if (!pem->file && !pem->text)
        return OK;
    if (pem->file && pem->text)
        return diag_set(why, ERR_CONFIG, "both %s and %s-data are given: keep one",
                        pem->what, pem->what);
    enum err e =
        path ? file_read_in_time(path, PEM_MAX, ret, &len, why) : decode(pem, ret, why);
    if (e)
        return path ? diag_prefix(why, e, "%s", pem->what) : e;
    *ret_name = xasprintf("%s:%u: %s \"%s\": %s%s%s", entry->file, entry->line, pem->kind,
                          entry->name, pem->what, path ? " " : "-data", path ? path : "");
    return OK;
}

/* As client-go: a scheme is needed, and one that is known. */
static enum err check_proxy(const struct kc_cluster *c, struct diag *why)
{
    static const char *const known[] = { "http", "https", "socks5", "socks5h" };
    struct str scheme, rest = str_cut(str_of(c->proxy), ':', &scheme);
    AUTO_FREE char *shown = url_redacted(str_of(c->proxy));

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(rest, STR("//")) && str_ieq(scheme, str_of(known[i])))
            return OK;
    return c->proxy ? diag_set(why, ERR_CONFIG,
                               "proxy-url \"%s\": it begins with http://, https:// or "
                               "socks5://",
                               shown)
                    : OK;
}

static enum err set_cluster(struct kube_target *t, const struct kc_cluster *c,
                            struct diag *why)
{
    struct pem ca = { &c->entry, "cluster", "certificate-authority", c->ca_file,
                      c->ca_data };
    bool has_ca = c->ca_file || c->ca_data;

    if (!c->server)
        return diag_set(why, ERR_CONFIG, "no server is given");
    enum err e = server_url_set(t, c->server, why);
    if (e)
        return e;
    if (has_ca && c->insecure)
        return diag_set(why, ERR_CONFIG,
                        "a certificate authority and insecure-skip-tls-verify exclude "
                        "each other");
    e = check_proxy(c, why);
    if (e)
        return e;
    t->cluster = kc_cluster_copy(c);
    t->insecure = c->insecure;
    t->tls_server_name = xstrdup_or_null(c->tls_server_name);
    t->proxy = xstrdup_or_null(c->proxy);
    return load_pem(&ca, &t->ca, &t->ca_name, why);
}

static bool has_certificate(const struct kc_user *u)
{
    return u->certificate_file || u->certificate_data;
}

static enum err check_user(const struct kc_user *u, struct diag *why)
{
    if (has_certificate(u) && !u->key_file && !u->key_data)
        return diag_set(why, ERR_CONFIG, "a client-certificate without a client-key");
    if ((u->token || u->token_file) && (u->username || u->password))
        return diag_set(why, ERR_CONFIG, "a token and a username: keep one");
    if (is_left_out(u->token) || is_left_out(u->password))
        return left_out(is_left_out(u->token) ? "token" : "password", "REDACTED", why);
    for (const char *c = u->token; c && *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return diag_set(why, ERR_CONFIG, "blanks in the token");
    if (u->exec && u->auth_provider)
        return diag_set(why, ERR_CONFIG, "exec and auth-provider exclude each other");
    enum err e = u->exec ? exec_plugin_check(u->exec, false, why) : OK;
    return e ? e : impersonation_check(u, why);
}

/* A user with credentials of its own needs no plugin. */
static enum err set_source(struct kube_target *t, const struct kc_user *u,
                           struct diag *why)
{
    if (u->token || u->token_file || u->username || u->password || has_certificate(u))
        return OK;
    t->source = u->exec ? SOURCE_EXEC : u->auth_provider ? SOURCE_OIDC : SOURCE_NONE;
    if (u->exec)
        return exec_plugin_check(u->exec, true, why);
    if (u->auth_provider)
        return auth_provider_check(u, why);
    return OK;
}

/* A token file must be readable now; later a failure only keeps the old token. */
static enum err set_token_file(struct kube_target *t, const struct kc_user *u,
                               struct diag *why)
{
    AUTO_FREE char *text = NULL;
    size_t len;

    if (!u->token_file)
        return OK;
    t->token_file = file_beside(u->entry.file, u->token_file);
    if (t->token)
        return OK;
    enum err e = file_read_in_time(t->token_file, TOKEN_MAX, &text, &len, why);
    return e ? diag_prefix(why, e, "tokenFile") : OK;
}

/* client-go gives a server without TLS no credentials either. */
static enum err set_user(struct kube_target *t, const struct kc_user *u, struct diag *why)
{
    struct pem certificate = { &u->entry, "user", "client-certificate",
                               u->certificate_file, u->certificate_data };
    struct pem key = { &u->entry, "user", "client-key", u->key_file, u->key_data };
    enum err e = check_user(u, why);

    t->user = kc_user_copy(u);
    if (e || !t->tls)
        return e;
    e = set_source(t, u, why);
    if (e)
        return e;
    t->token = xstrdup_or_null(u->token);
    t->username = xstrdup_or_null(u->username);
    t->password = xstrdup_or_null(u->password);
    e = set_token_file(t, u, why);
    if (!e && has_certificate(u))
        e = load_pem(&certificate, &t->certificate, &t->certificate_name, why);
    if (!e && has_certificate(u))
        e = load_pem(&key, &t->key, &t->key_name, why);
    return e;
}

/* The names of all contexts, for the error that none was chosen. */
static void list_contexts(const struct kubeconfig *kc, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    list_for_each (e, (struct list_node *)(uintptr_t)&kc->contexts.list, struct kc_entry,
                   node) {
        int n = snprintf(out + used, room - used, "%s%s", used ? ", " : "", e->name);
        if (n < 0 || (size_t)n >= room - used)
            return;
        used += (size_t)n;
    }
}

/* NULL: there is none, and *why has the reason. */
static const struct kc_context *choose(const struct kubeconfig *kc, const char *name,
                                       struct diag *why)
{
    const struct kc_context *context = name ? kubeconfig_context(kc, name) : NULL;
    char known[128];

    list_contexts(kc, known, sizeof(known));
    if (!name && !known[0])
        diag_set(why, ERR_CONFIG,
                 "it has no contexts, so it is no kubeconfig; name another with "
                 "--kubeconfig or KUBECONFIG");
    else if (!name)
        diag_set(why, ERR_CONFIG,
                 "no current-context is set; choose one with --context (%s)", known);
    else if (!context)
        diag_set(why, ERR_CONFIG, "no context \"%s\" (there are: %s)%s", name,
                 known[0] ? known : "none",
                 known[0] ? "; choose one with --context" : "");
    return context;
}

/* A user that is not there has no credentials, as with kubectl. */
static enum err follow(const struct kubeconfig *kc, const struct kc_context *context,
                       struct kube_target *t, struct diag *why)
{
    const struct kc_cluster *cluster = kubeconfig_cluster(kc, context->cluster);
    const struct kc_user *user = kubeconfig_user(kc, context->user);

    if (!cluster && context->cluster)
        diag_set(why, ERR_CONFIG,
                 "no cluster \"%s\"; add it with kubectl config set-cluster %s "
                 "--server=URL",
                 context->cluster, context->cluster);
    else if (!cluster)
        diag_set(why, ERR_CONFIG,
                 "no cluster is given; set it with kubectl config set-context %s "
                 "--cluster=NAME",
                 context->entry.name);
    if (!cluster)
        return prefix_entry(&context->entry, "context", ERR_CONFIG, why);
    enum err e = set_cluster(t, cluster, why);
    if (e)
        return prefix_entry(&cluster->entry, "cluster", e, why);
    if (!user)
        return OK;
    e = set_user(t, user, why);
    return e ? prefix_entry(&user->entry, "user", e, why) : OK;
}

enum err kube_target_from(const struct kubeconfig *kc, const char *name, const char *ns,
                          struct kube_target **ret, struct diag *why)
{
    AUTO(target_freep) struct kube_target *t = xcalloc(1, sizeof(*t));
    const struct kc_context *context = choose(kc, name ? name : kc->current, why);

    if (!context)
        return kc->origin ? diag_prefix(why, ERR_CONFIG, "%s", kc->origin) : ERR_CONFIG;
    enum err e = follow(kc, context, t, why);
    if (!e)
        e = kube_target_set_identity(t, why);
    if (e)
        return e;
    t->context = xstrdup(context->entry.name);
    t->ns = xstrdup(ns ? ns : context->ns ? context->ns : "default");
    t->origin = xstrdup(context->entry.file);
    *ret = TAKE(t);
    return OK;
}

enum err kube_target_load(const char *kubeconfig, const char *context, const char *ns,
                          struct kube_target **ret, struct diag *why)
{
    AUTO(kubeconfig_destroyp) struct kubeconfig *kc = NULL;
    enum err e = kubeconfig_load(kubeconfig, &kc, why);

    if (e)
        return e;
    kubeconfig_log_warnings(kc);
    if (!context && !kc->current && service_account_present())
        return service_account_load(SERVICE_ACCOUNT_ROOT, ns, ret, why);
    if (kubeconfig || !kubeconfig_empty(kc) || service_account_present())
        return kube_target_from(kc, context, ns, ret, why);
    return diag_set(
        why, ERR_NOT_FOUND,
        "no kubeconfig: %s is missing or has no contexts, and this is not a pod; name "
        "one with --kubeconfig FILE or KUBECONFIG (kubectl config view --raw prints "
        "kubectl's)",
        kc->origin);
}
