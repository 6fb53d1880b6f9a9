/* cluster/login.c - contexts with an exec plugin that prompts a person at the terminal
 *
 * A web page may send requests without an action of the user, so a request that a browser sent
 * (by its header fields) never starts such a plugin (decision 097).  A button on one of our own
 * pages starts the login; so do requests of other programs.
 */
#include "cluster/cluster.h"
#include "cluster/table.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "net/process.h"

/* By its kubeconfig: the plugin of a context that is not connected has not run for it. */
static bool would_prompt(const struct member *m)
{
    const struct kubeconfig *kc = m->table->kubeconfig;
    const struct kc_context *context = kubeconfig_context(kc, m->name);
    const struct kc_user *u = context ? kubeconfig_user(kc, context->user) : NULL;

    if (!u || !u->exec || u->token || u->token_file || u->username ||
        u->certificate_file || u->certificate_data || !process_has_terminal())
        return false;
    const char *mode = u->exec->interactive_mode;
    return !mode || strcmp(mode, "Never") != 0;
}

bool clusters_need_login(const struct clusters *cs, struct str label, struct diag *why)
{
    const struct member *m = clusters_member(cs, label);

    if (!m || !m->present)
        return false;
    if (!m->cluster) {
        diag_set(why, ERR_CREDENTIALS, "an exec plugin prompts at the terminal");
        return would_prompt(m);
    }
    struct credentials *c = api_credentials(m->cluster->api);
    return credentials_are_interactive(c) && credentials_are_missing(c, why);
}

enum err clusters_login(struct clusters *cs, struct str label, struct diag *why)
{
    struct cluster *cluster;
    struct credentials_want want = { 0 };
    struct credential *credential = NULL;
    enum err e = clusters_find(cs, label, &cluster, why);

    if (e)
        return e;
    e = credentials_get(api_credentials(cluster->api), &want, &credential, why);
    credentials_leave(&want);
    credential_unref(credential);
    cluster_unref(cluster);
    return e;
}
