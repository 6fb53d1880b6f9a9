/* cluster/reload.c - apply a changed kubeconfig to the members that it concerns
 *
 * THEORY OF OPERATION
 *
 * The files of the kubeconfig are watched, those that do not exist included
 * (net/file_watch.h).  After a change all of them are read again, and each member is compared
 * with what it was made from:
 *
 *   nothing changed           nothing is done
 *   its user changed          new credentials, or else the next row
 *   its server changed        a new cluster is built beside the old one, which drains
 *   the context is gone       its cluster drains, and requests get a 404
 *   there is a new context    a new member, where all contexts were chosen
 *
 * A kubeconfig that cannot be read, is empty or has a pipe among its files changes nothing:
 * programs write it in place.
 * A context that has become unusable (a file that it names is missing) keeps its cluster.
 *
 * The current context is the one of the start: another terminal's "kubectl config
 * use-context" does not move the names that programs here are using (decision 098).
 */
#include <assert.h>

#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/difference.h"
#include "cluster/members.h"
#include "cluster/reload.h"
#include "kube/credentials.h"

LOG_MODULE(cluster);

static void keep_old(struct clusters *cs, enum err e, const struct diag *why)
{
    if (strcmp(cs->unreadable.text, why->text) != 0)
        log_warn(NO_ID, "the kubeconfig cannot be read: keeping the last one",
                 LOG_S("reason", diag_text(why, e)));
    diag_set(&cs->unreadable, e, "%s", diag_text(why, e));
}

/* A pipe ("<(...)") can be read once, at the start: now it would block, or be empty. */
static enum err check_no_pipe(const struct clusters *cs, struct diag *why)
{
    struct texts paths = { 0 };
    enum err e = OK;
    struct stat st;

    kubeconfig_paths(cs->choice.kubeconfig, &paths);
    for (size_t i = 0; !e && i < paths.count; i++)
        if (!stat(paths.at[i], &st) && S_ISFIFO(st.st_mode))
            e = diag_set(why, ERR_CONFIG, "%s: it is a pipe", paths.at[i]);
    texts_finish(&paths);
    return e;
}

static enum err read_kubeconfig(struct clusters *cs, struct kubeconfig **ret,
                                struct diag *why)
{
    enum err e = check_no_pipe(cs, why);

    if (!e)
        e = kubeconfig_load(cs->choice.kubeconfig, ret, why);
    if (e || !list_empty(&(*ret)->contexts.list))
        return e;
    kubeconfig_destroy(TAKE(*ret));
    return diag_set(why, ERR_CONFIG, "it has no contexts");
}

static void replace_cluster(struct member *m, struct kube_target *target,
                            const char *what)
{
    struct diag why = { "" };
    enum err e = member_replace(m, target, &why);

    if (e)
        log_warn(CLUSTER_ID(m->number),
                 "a context cannot be used: keeping its last configuration",
                 LOG_S("context", m->name), LOG_S("reason", diag_text(&why, e)));
    else
        log_info(CLUSTER_ID(m->number), what, LOG_S("context", m->name),
                 LOG_S("server", api_target(m->cluster->api)->server));
}

/* Does the default namespace matter?  Only if the rights are limited to it. */
static bool needs_namespace(const struct member *m)
{
    return catalog_scope(m->cluster->catalog) != NULL;
}

static void apply_target(struct member *m, struct kube_target *target)
{
    switch (target_difference(api_target(m->cluster->api), target)) {
    case DIFFERENCE_SERVER:
        replace_cluster(m, target, "the server of a context changed");
        return;
    case DIFFERENCE_CREDENTIALS:
        replace_cluster(m, target, "the credentials of a context changed");
        return;
    case DIFFERENCE_NAMESPACE:
        if (needs_namespace(m)) {
            replace_cluster(m, target, "the namespace of a context changed");
            return;
        }
        break;
    case DIFFERENCE_NONE:
        credentials_on_kubeconfig(api_credentials(m->cluster->api));
        break;
    }
    kube_target_destroy(target);
}

static void reload_cluster(struct member *m)
{
    struct kube_target *target;
    struct diag why = { "" };
    enum err e = member_target(m, &target, &why);

    if (!e)
        apply_target(m, target);
    else if (strcmp(m->why.text, why.text) != 0)
        log_warn(CLUSTER_ID(m->number),
                 "a context cannot be used: keeping its last configuration",
                 LOG_S("context", m->name), LOG_S("reason", diag_text(&why, e)));
    m->why = why;
}

static void reload_member(struct member *m)
{
    bool present = kubeconfig_context(m->table->kubeconfig, m->name) != NULL;

    if (present != m->present)
        log_info(CLUSTER_ID(m->number),
                 present ? "a removed context is in the kubeconfig again"
                         : "a context was removed from the kubeconfig",
                 LOG_S("context", m->name), LOG_S("label", m->label));
    m->present = present;
    m->failed = OK;
    if (!present)
        member_disconnect(m);
    else if (m->cluster)
        reload_cluster(m);
    else
        m->why = (struct diag){ "" };
}

static void add_new(struct clusters *cs)
{
    size_t before = cs->count;

    clusters_add_all(cs);
    for (size_t i = before; i < cs->count; i++)
        log_info(NO_ID, "a context was added to the kubeconfig",
                 LOG_S("context", cs->members[i]->name),
                 LOG_S("label", cs->members[i]->label));
}

/* After `kubectl config use-context` a user may expect plain names to follow. */
static void note_current(struct clusters *cs)
{
    const char *now = cs->kubeconfig->current;
    bool same = now && cs->current && strcmp(now, cs->current) == 0;

    if (now && !same && cs->choice.context_count == 0)
        log_info(NO_ID,
                 "current-context changed; names without a label still lead to "
                 "the first context",
                 LOG_S("current", now), LOG_S("first", cs->members[0]->name));
    free(cs->current);
    cs->current = xstrdup_or_null(now);
}

static void on_file(struct task *t)
{
    struct clusters *cs = container_of(t, struct clusters, on_file);
    struct kubeconfig *fresh = NULL;
    struct diag why = { "" };
    enum err e = read_kubeconfig(cs, &fresh, &why);

    if (e) {
        keep_old(cs, e, &why);
        return;
    }
    assert(fresh);
    cs->unreadable = (struct diag){ "" };
    log_debug(NO_ID, "the kubeconfig was read again");
    kubeconfig_destroy(cs->kubeconfig);
    cs->kubeconfig = fresh;
    for (size_t i = 0; i < cs->count; i++)
        reload_member(cs->members[i]);
    if (cs->all)
        add_new(cs);
    note_current(cs);
}

void reload_init(struct clusters *cs)
{
    task_init(&cs->on_file, cs->sched, RANK_WORK, on_file);
}

void reload_start(struct clusters *cs)
{
    struct texts paths = { 0 };

    cs->current = xstrdup_or_null(cs->kubeconfig->current);
    kubeconfig_paths(cs->choice.kubeconfig, &paths);
    cs->watches = xcalloc(paths.count + 1, sizeof(*cs->watches));
    for (size_t i = 0; i < paths.count; i++)
        cs->watches[cs->watch_count++] =
            file_watch_open(cs->loop, paths.at[i], &cs->on_file);
    texts_finish(&paths);
}

void reload_stop(struct clusters *cs)
{
    for (size_t i = 0; i < cs->watch_count; i++)
        file_watch_close(cs->watches[i]);
    cs->watch_count = 0;
    free(TAKE(cs->watches));
    free(TAKE(cs->current));
    task_cancel(&cs->on_file);
}
