/* kube/service_account.c - the credentials a pod is given */
#include "kube/service_account.h"

#include "base/own.h"
#include "base/file.h"
#include "kube/file_reader.h"
#include "kube/server_url.h"

#define FILE_MAX (1u << 20)

static void service_account_target_freep(struct kube_target **t)
{
    kube_target_destroy(*t);
}

static const char *set_or_null(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

bool service_account_present(void)
{
    return set_or_null("KUBERNETES_SERVICE_HOST") &&
           set_or_null("KUBERNETES_SERVICE_PORT");
}

static enum err set_server(struct kube_target *t, struct diag *why)
{
    const char *host = set_or_null("KUBERNETES_SERVICE_HOST");
    const char *port = set_or_null("KUBERNETES_SERVICE_PORT");

    if (!host || !port)
        return diag_set(why, ERR_NOT_FOUND, "%s is not set",
                        host ? "KUBERNETES_SERVICE_PORT" : "KUBERNETES_SERVICE_HOST");
    const char *format = strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s";
    AUTO_FREE char *url = xasprintf(format, host, port);
    return server_url_set(t, url, why);
}

/* The namespace is a convenience: without it things still work. */
char *service_account_namespace(const char *root)
{
    AUTO_FREE char *path = xasprintf("%s/namespace", root);
    AUTO_FREE char *text = NULL;
    const char *ns = set_or_null("POD_NAMESPACE");
    size_t len;

    if (ns)
        return xstrdup(ns);
    if (file_read(path, FILE_MAX, &text, &len, NULL))
        return xstrdup("default");
    struct str named = str_trim_space(str_of(text));
    return str_empty(named) ? xstrdup("default") : str_dup(named);
}

static enum err set_files(struct kube_target *t, const char *root, struct diag *why)
{
    AUTO_FREE char *ca = xasprintf("%s/ca.crt", root);
    AUTO_FREE char *token = NULL;
    size_t len;

    t->token_file = xasprintf("%s/token", root);
    enum err e = file_read_in_time(t->token_file, FILE_MAX, &token, &len, why);
    if (!e)
        e = file_read(ca, FILE_MAX, &t->ca, &len, why);
    t->ca_name = TAKE(ca);
    return e ? e : kube_target_set_identity(t, why);
}

enum err service_account_load(const char *root, const char *ns, struct kube_target **ret,
                              struct diag *why)
{
    AUTO(service_account_target_freep) struct kube_target *t = xcalloc(1, sizeof(*t));

    enum err e = set_server(t, why);
    if (!e)
        e = set_files(t, root, why);
    if (e)
        return diag_prefix(why, e, "service account");
    t->context = xstrdup("in-cluster");
    t->ns = ns ? xstrdup(ns) : service_account_namespace(root);
    t->origin = xstrdup(root);
    *ret = TAKE(t);
    return OK;
}
