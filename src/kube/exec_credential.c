#include "kube/exec_credential.h"

#include <jansson.h>

#include "base/base64.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "kube/kubeconfig.h"

#define VERSION_SHOWN 60 /* bytes of a version that is not the right one */

/* ---- what the plugin is given ---- */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_string(text));
}

static json_t *cluster_info(const struct kube_target *t)
{
    const struct kc_cluster *c = t->cluster;
    AUTO_FREE char *ca = t->ca ? base64_encode(str_of(t->ca)) : NULL;
    json_t *info = json_object();

    set_text(info, "server", c && c->server ? c->server : t->server);
    set_text(info, "tls-server-name", t->tls_server_name);
    if (t->insecure)
        json_object_set_new(info, "insecure-skip-tls-verify", json_true());
    set_text(info, "certificate-authority-data", ca);
    set_text(info, "proxy-url", t->proxy);
    if (c && c->disable_compression)
        json_object_set_new(info, "disable-compression", json_true());
    if (c && c->exec_config)
        json_object_set_new(info, "config",
                            json_loads(c->exec_config, JSON_DECODE_ANY, NULL));
    return info;
}

char *exec_credential_spec(const char *api_version, bool interactive,
                           const struct kube_target *cluster)
{
    json_t *spec = json_object();
    json_t *credential = json_object();

    if (cluster)
        json_object_set_new(spec, "cluster", cluster_info(cluster));
    json_object_set_new(spec, "interactive", json_boolean(interactive));
    set_text(credential, "kind", "ExecCredential");
    set_text(credential, "apiVersion", api_version);
    json_object_set_new(credential, "spec", spec);
    char *text = json_dumps(credential, JSON_COMPACT);
    json_decref(credential);
    return text ? text : xstrdup("");
}

/* ---- what it prints ---- */

static const char *exec_credential_text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The problem of jansson's names a line, but may quote what is there. */
static enum err load(struct str text, json_t **ret, struct diag *why)
{
    json_error_t problem;

    if (str_empty(str_trim_space(text)))
        return diag_set(why, ERR_PROTO, "it printed nothing on its standard output");
    *ret = json_loadb(text.at, text.len, 0, &problem);
    return *ret ? OK
                : diag_set(why, ERR_PROTO, "what it printed is not JSON (line %d)",
                           problem.line);
}

static enum err exec_credential_check_kind(const json_t *object, const char *api_version,
                                           struct diag *why)
{
    const char *version = exec_credential_text_at(object, "apiVersion");

    if (strcmp(exec_credential_text_at(object, "kind"), "ExecCredential") != 0)
        return diag_set(why, ERR_PROTO, "what it printed is not an ExecCredential");
    if (strcmp(version, api_version) == 0)
        return OK;
    struct str shown = str_first(str_of(version), VERSION_SHOWN);
    diag_set(why, ERR_PROTO,
             "it is configured to use API version %s, and returned version %.*s",
             api_version, STR_ARG(shown));
    text_make_printable(why->text, false);
    return ERR_PROTO;
}

/* A token is one word: it becomes a header field. */
static bool is_word(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

static enum err check_status(const json_t *status, struct diag *why)
{
    bool token = *exec_credential_text_at(status, "token");
    bool certificate = *exec_credential_text_at(status, "clientCertificateData");
    bool key = *exec_credential_text_at(status, "clientKeyData");

    if (!json_is_object(status))
        return diag_set(why, ERR_PROTO, "it returned no status field");
    if (!token && !certificate && !key)
        return diag_set(why, ERR_PROTO,
                        "it returned neither a token nor a certificate and key");
    if (certificate != key)
        return diag_set(why, ERR_PROTO, "it returned only a certificate or a key");
    if (!is_word(exec_credential_text_at(status, "token")))
        return diag_set(why, ERR_PROTO, "blanks in the token that it returned");
    return OK;
}

static enum err read_expiry(const json_t *status, int64_t *ret, struct diag *why)
{
    const json_t *at = json_object_get(status, "expirationTimestamp");

    *ret = NEVER_EXPIRES;
    if (!at || json_is_null(at))
        return OK;
    if (!json_is_string(at) || rfc3339_parse(str_of(json_string_value(at)), ret))
        return diag_set(why, ERR_PROTO,
                        "the expirationTimestamp that it returned is no time such as "
                        "2006-01-02T15:04:05Z");
    return OK;
}

static char *dup_if_set(const char *text)
{
    return *text ? xstrdup(text) : NULL;
}

enum err exec_credential_parse(struct str text, const char *api_version,
                               struct secret *ret, struct diag *why)
{
    AUTO(json_decrefp) json_t *object = NULL;
    const json_t *status = NULL;
    int64_t expires_at = 0;

    *ret = (struct secret){ 0 };
    enum err e = load(text, &object, why);
    if (!e)
        e = exec_credential_check_kind(object, api_version, why);
    if (!e)
        status = json_object_get(object, "status");
    if (!e)
        e = check_status(status, why);
    if (!e)
        e = read_expiry(status, &expires_at, why);
    if (e)
        return e;
    ret->token = dup_if_set(exec_credential_text_at(status, "token"));
    ret->certificate =
        dup_if_set(exec_credential_text_at(status, "clientCertificateData"));
    ret->key = dup_if_set(exec_credential_text_at(status, "clientKeyData"));
    ret->expires_at = expires_at;
    return OK;
}
