/* kube/kubeconfig.h - kubeconfig files: read one, merge several, find entries by name
 *
 * Has the values in the files and their lines, nothing else: references by name are not
 * resolved, files named inside are not opened, values are not checked (target_load.c).  An absent
 * value and an empty one are the same: NULL.  Names are never NULL: an entry without one
 * is called "", as kubectl has it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/texts.h"

#define KUBECONFIG_MAX ((size_t)64 << 20)

/* The common part of clusters, users and contexts. */
struct kc_entry {
    struct list_node node;
    char *name;
    const char *file; /* where it stands; the kubeconfig's */
    unsigned line;
};

struct kc_cluster {
    struct kc_entry entry;
    char *server, *tls_server_name, *proxy;
    char *ca_file, *ca_data; /* data is base64 still */
    bool insecure;
    bool disable_compression;
    /* extensions: client.authentication.k8s.io/exec, as JSON; for exec plugins */
    char *exec_config;
};

struct kc_exec {
    char *command; /* a path if it has a slash, relative to the entry's file; or NULL */
    char *api_version, *install_hint, *interactive_mode;
    struct texts args;
    struct text_pairs env; /* in their order; of a name given twice the last counts */
    bool provide_cluster_info;
};

struct kc_auth_provider {
    char *name;
    struct text_pairs config; /* of a name given twice the last counts */
};

/* One key of as-user-extra. */
struct kc_extra {
    char *name;
    struct texts values;
};

struct kc_extras {
    struct kc_extra *at;
    size_t count;
};

struct kc_user {
    struct kc_entry entry;
    char *certificate_file, *certificate_data, *key_file, *key_data;
    char *token, *token_file, *username, *password;
    char *as, *as_uid;
    struct texts as_groups;
    struct kc_extras as_extra;
    struct kc_exec *exec;                   /* NULL: none */
    struct kc_auth_provider *auth_provider; /* NULL: none */
};

struct kc_context {
    struct kc_entry entry;
    char *cluster, *user, *ns;
};

/* One kind of entry: in the order of the files, and by name. */
struct kc_table {
    struct list_node list;
    struct map by_name;
    const char *kind; /* "cluster", "user", "context" */
    const char *file; /* while it is read */
};

struct kubeconfig {
    struct kc_table clusters, users, contexts;
    char *current;         /* or NULL */
    struct texts files;    /* that were read, in their order */
    struct texts warnings; /* "file:line: what": accepted, but probably not meant */
    char *origin;          /* what to call it all in messages, or NULL */
    char *kind, *api_version;
};

struct kubeconfig *kubeconfig_create(void);
void kubeconfig_destroy(struct kubeconfig *kc); /* NULL accepted */
static inline void kubeconfig_destroyp(struct kubeconfig **kc)
{
    kubeconfig_destroy(*kc);
}

/* Choose, read and merge the files: `chosen` (--kubeconfig, may be NULL), else those of
 * $KUBECONFIG, else ~/.kube/config.  Missing ones are skipped, unless chosen; the result
 * may be empty, and belongs to the caller.  ERR_CONFIG, ERR_LIMIT, ERR_NOT_FOUND,
 * ERR_ACCESS, ERR_IO with a sentence naming file and, if there is one, line. */
MUST_CHECK enum err kubeconfig_load(const char *chosen, struct kubeconfig **ret,
                                    struct diag *why);

void kubeconfig_log_warnings(const struct kubeconfig *kc);

/* The files that make it up, those that do not exist included; *ret is zeroed before. */
void kubeconfig_paths(const char *chosen, struct texts *ret);

/* Read one file's text; path is for messages and for `file`.
 * ERR_CONFIG or ERR_LIMIT with "path:line: what". */
MUST_CHECK enum err kubeconfig_parse(struct str text, const char *path,
                                     struct kubeconfig **ret, struct diag *why);

/* Add what `into` does not define yet, whole entries by name; `from` is taken over. */
void kubeconfig_merge(struct kubeconfig *into, struct kubeconfig *from);

bool kubeconfig_empty(const struct kubeconfig *kc);

/* NULL: no such name.  A name of NULL is "". */
const struct kc_cluster *kubeconfig_cluster(const struct kubeconfig *kc,
                                            const char *name);
const struct kc_user *kubeconfig_user(const struct kubeconfig *kc, const char *name);
const struct kc_context *kubeconfig_context(const struct kubeconfig *kc,
                                            const char *name);
/* Entries that outlive their kubeconfig; NULL copies to NULL and is destroyed as nothing. */
struct kc_user *kc_user_copy(const struct kc_user *u);
void kc_user_destroy(struct kc_user *u);
struct kc_cluster *kc_cluster_copy(const struct kc_cluster *c);
void kc_cluster_destroy(struct kc_cluster *c);

/* The value of the last pair of that name, or NULL. */
const char *kc_pair(const struct text_pairs *pairs, const char *name);
