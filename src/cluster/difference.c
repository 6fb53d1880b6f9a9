/* cluster/difference.c - what has changed between two readings of one context */
#include "cluster/difference.h"

#include "base/own.h"
#include "kube/kubeconfig.h"

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_texts(const struct texts *a, const struct texts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same(a->at[i], b->at[i]))
            return false;
    return true;
}

static bool same_pairs(const struct text_pairs *a, const struct text_pairs *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same(a->at[i].name, b->at[i].name) || !same(a->at[i].value, b->at[i].value))
            return false;
    return true;
}

/* A relative path depends on the folder of the kubeconfig that has it. */
static bool same_path(const char *a, const char *b, const struct kc_entry *in_a,
                      const struct kc_entry *in_b)
{
    return same(a, b) && (!a || a[0] == '/' || same(in_a->file, in_b->file));
}

static bool same_exec(const struct kc_user *u, const struct kc_user *v)
{
    const struct kc_exec *a = u->exec, *b = v->exec;

    if (!a || !b)
        return a == b;
    return same_path(a->command, b->command, &u->entry, &v->entry) &&
           same(a->api_version, b->api_version) &&
           same(a->install_hint, b->install_hint) &&
           same(a->interactive_mode, b->interactive_mode) &&
           same_texts(&a->args, &b->args) && same_pairs(&a->env, &b->env) &&
           a->provide_cluster_info == b->provide_cluster_info;
}

/* The tokens that kube/oidc.c writes into the kubeconfig, and reads again by itself. */
static bool is_token(const char *key)
{
    return same(key, "id-token") || same(key, "refresh-token");
}

static bool has_all(const struct text_pairs *a, const struct text_pairs *of)
{
    for (size_t i = 0; i < of->count; i++)
        if (!is_token(of->at[i].name) &&
            !same(kc_pair(a, of->at[i].name), kc_pair(of, of->at[i].name)))
            return false;
    return true;
}

static bool same_provider(const struct kc_auth_provider *a,
                          const struct kc_auth_provider *b)
{
    if (!a || !b)
        return a == b;
    return same(a->name, b->name) && has_all(&a->config, &b->config) &&
           has_all(&b->config, &a->config);
}

static bool same_extras(const struct kc_extras *a, const struct kc_extras *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same(a->at[i].name, b->at[i].name) ||
            !same_texts(&a->at[i].values, &b->at[i].values))
            return false;
    return true;
}

static bool same_identity(const struct kc_user *a, const struct kc_user *b)
{
    return same(a->as, b->as) && same(a->as_uid, b->as_uid) &&
           same_texts(&a->as_groups, &b->as_groups) &&
           same_extras(&a->as_extra, &b->as_extra);
}

static bool same_user(const struct kc_user *a, const struct kc_user *b)
{
    if (!a || !b)
        return a == b;
    const struct kc_entry *x = &a->entry, *y = &b->entry;
    return same_path(a->certificate_file, b->certificate_file, x, y) &&
           same_path(a->key_file, b->key_file, x, y) &&
           same_path(a->token_file, b->token_file, x, y) &&
           same(a->certificate_data, b->certificate_data) &&
           same(a->key_data, b->key_data) && same(a->token, b->token) &&
           same(a->username, b->username) && same(a->password, b->password) &&
           same_identity(a, b) && same_exec(a, b) &&
           same_provider(a->auth_provider, b->auth_provider);
}

static bool same_server(const struct kc_cluster *a, const struct kc_cluster *b)
{
    if (!a || !b)
        return a == b;
    return same(a->server, b->server) && same(a->tls_server_name, b->tls_server_name) &&
           same(a->proxy, b->proxy) && same(a->ca_data, b->ca_data) &&
           same_path(a->ca_file, b->ca_file, &a->entry, &b->entry) &&
           a->insecure == b->insecure && a->disable_compression == b->disable_compression;
}

/* The part of the cluster's entry that a plugin gets in its environment. */
static bool same_exec_config(const struct kc_cluster *a, const struct kc_cluster *b)
{
    return !a || !b || same(a->exec_config, b->exec_config);
}

enum difference target_difference(const struct kube_target *a,
                                  const struct kube_target *b)
{
    if (!same_server(a->cluster, b->cluster))
        return DIFFERENCE_SERVER;
    if (!same_user(a->user, b->user) || !same_exec_config(a->cluster, b->cluster))
        return DIFFERENCE_CREDENTIALS;
    return same(a->ns, b->ns) ? DIFFERENCE_NONE : DIFFERENCE_NAMESPACE;
}
