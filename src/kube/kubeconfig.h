/* kube/kubeconfig.h - kubeconfig files: read one, merge several
 *
 * What the files say and where they say it, nothing else: names are not followed, files
 * named inside are not opened, values are not judged (target.c does that).  An absent
 * value and an empty one are the same: NULL.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"

#define KUBECONFIG_MAX (4u << 20)

/* The common part of clusters, users and contexts. */
struct kc_entry {
    struct list_node node;
    char *name;
    char *file; /* where it stands */
    unsigned line;
};

struct kc_cluster {
    struct kc_entry entry;
    char *server, *tls_server_name, *proxy;
    char *ca_file, *ca_data; /* data is base64 still */
    bool insecure;
};

struct kc_user {
    struct kc_entry entry;
    char *certificate_file, *certificate_data, *key_file, *key_data;
    char *token, *token_file, *username, *password;
    char *exec_command, *exec_hint; /* command is "" for a plugin without one */
    char *auth_provider;            /* "" likewise */
    bool impersonates;              /* as, as-uid, as-groups or as-user-extra */
};

struct kc_context {
    struct kc_entry entry;
    char *cluster, *user, *ns;
};

struct kubeconfig {
    struct list_node clusters, users, contexts;
    char *current; /* or NULL */
};

struct kubeconfig *kubeconfig_create(void);
void kubeconfig_destroy(struct kubeconfig *kc); /* NULL accepted */

/* Read one file's text; path is for messages and for `file`.
 * ERR_CONFIG with "path:line: what". */
MUST_CHECK enum err kubeconfig_parse(struct str text, const char *path,
                                     struct kubeconfig **ret, struct diag *why);

/* Add what `into` does not define yet, whole entries by name; `from` is taken over. */
void kubeconfig_merge(struct kubeconfig *into, struct kubeconfig *from);

bool kubeconfig_empty(const struct kubeconfig *kc);

/* NULL: no such name, or the name is NULL. */
const struct kc_cluster *kubeconfig_cluster(const struct kubeconfig *kc,
                                            const char *name);
const struct kc_user *kubeconfig_user(const struct kubeconfig *kc, const char *name);
const struct kc_context *kubeconfig_context(const struct kubeconfig *kc,
                                            const char *name);
