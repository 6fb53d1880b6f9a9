/* cluster/set.c - the clusters of this process */
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "base/partition.h"
#include "cluster/members.h"
#include "cluster/reload.h"
#include "kube/target_load.h"
#include "tunnel/tunnels.h"
#include "upstream/upstream.h"

LOG_MODULE(cluster);

#define ALL "all"

/* ---- the choice ---- */

static bool is_all(const char *name)
{
    return strcmp(name, ALL) == 0;
}

/* The context that owns plain names: the first that is named, else the current context, else the
 * first of the kubeconfig.  NULL: there is none. */
static const char *choose_first(const struct clusters *cs)
{
    const struct kubeconfig *kc = cs->kubeconfig;

    for (size_t i = 0; i < cs->choice.context_count; i++)
        if (!is_all(cs->choice.contexts[i]))
            return cs->choice.contexts[i];
    if (!cs->all || (kc->current && kubeconfig_context(kc, kc->current)))
        return kc->current;
    if (list_empty(&kc->contexts.list))
        return NULL;
    return list_first(&kc->contexts.list, struct kc_entry, node)->name;
}

static enum err add_named(struct clusters *cs, const char *name, struct diag *why)
{
    struct kube_target *unused = NULL;

    if (map_get(&cs->by_name, str_of(name)))
        return OK;
    if (kubeconfig_context(cs->kubeconfig, name))
        return clusters_add(cs, name) ? OK : ERR_LIMIT;
    enum err e = kube_target_from(cs->kubeconfig, name, NULL, &unused, why);
    assert(e); /* it has no such context, and *why lists those it has */
    return e;
}

static enum err add_chosen(struct clusters *cs, struct diag *why)
{
    const char *first = choose_first(cs);
    enum err e = add_named(cs, first, why);

    for (size_t i = 0; !e && i < cs->choice.context_count; i++)
        if (!is_all(cs->choice.contexts[i]))
            e = add_named(cs, cs->choice.contexts[i], why);
    if (!e && cs->all)
        clusters_add_all(cs);
    return e;
}

/* No context is chosen: the service account's cluster, or what is wrong. */
static enum err add_default(struct clusters *cs, struct diag *why)
{
    struct kube_target *target = NULL;
    enum err e =
        kube_target_load(cs->choice.kubeconfig, NULL, cs->choice.ns, &target, why);

    if (e)
        return e;
    cs->in_cluster = target->cluster == NULL;
    clusters_add(cs, target->context);
    kube_target_destroy(target);
    return OK;
}

/* If the first context cannot be used, fail only if there are no others. */
static enum err connect_first(struct clusters *cs, struct diag *why)
{
    struct cluster *first = NULL;

    if (cs->choice.offline)
        return OK;
    enum err e = member_connect(cs->members[0], &first, why);

    cluster_unref(first);
    return cs->count > 1 ? OK : e;
}

static enum err choose(struct clusters *cs, struct diag *why)
{
    for (size_t i = 0; i < cs->choice.context_count; i++)
        cs->all |= is_all(cs->choice.contexts[i]);
    enum err e = kubeconfig_load(cs->choice.kubeconfig, &cs->kubeconfig, why);
    if (e)
        return e;
    kubeconfig_log_warnings(cs->kubeconfig);
    e = choose_first(cs) ? add_chosen(cs, why) : add_default(cs, why);
    return e ? e : connect_first(cs, why);
}

/* ---- create and destroy ---- */

static void on_ended(struct task *t)
{
    struct clusters *cs = container_of(t, struct clusters, on_ended);

    list_for_each (c, &cs->retired, struct cluster, node) {
        if (!cluster_ended(c))
            continue;
        list_remove(&c->node);
        cluster_destroy(c);
    }
    task_wake(cs->drained);
}

static void clusters_destroyp(struct clusters **cs)
{
    clusters_destroy(*cs);
}

enum err clusters_create(struct loop *loop, const struct cluster_settings *settings,
                         const struct clusters_choice *choice, struct clusters **ret,
                         struct diag *why)
{
    AUTO(clusters_destroyp) struct clusters *cs = xcalloc(1, sizeof(*cs));

    cs->loop = loop;
    cs->sched = loop_sched(loop);
    cs->settings = settings;
    cs->choice = *choice;
    map_init(&cs->by_name);
    map_init(&cs->by_label);
    map_init(&cs->numbers);
    list_init(&cs->retired);
    task_init(&cs->on_ended, cs->sched, RANK_WORK, on_ended);
    reload_init(cs);
    enum err e = choose(cs, why);
    if (e)
        return e;
    if (!cs->in_cluster && !cs->choice.offline)
        reload_start(cs);
    *ret = TAKE(cs);
    return OK;
}

void clusters_destroy(struct clusters *cs)
{
    if (!cs)
        return;
    reload_stop(cs);
    task_cancel(&cs->on_ended);
    for (size_t i = 0; i < cs->count; i++)
        member_destroy(cs->members[i]);
    list_for_each (c, &cs->retired, struct cluster, node) {
        list_remove(&c->node);
        cluster_destroy(c);
    }
    free(cs->members);
    map_finish(&cs->by_name);
    map_finish(&cs->by_label);
    map_finish(&cs->numbers);
    kubeconfig_destroy(cs->kubeconfig);
    free(cs);
}

/* ---- questions ---- */

static enum err find_none(const struct clusters *cs, struct str label, struct diag *why)
{
    char known[160] = "";
    size_t used = 0;

    for (size_t i = 0; i < cs->count && used < sizeof(known); i++) {
        int n = snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                         cs->members[i]->label);
        used += n > 0 ? (size_t)n : 0;
    }
    return diag_set(why, ERR_NOT_CONFIGURED, "no context \"%.*s\" (there are: %s%s)",
                    STR_ARG(label), known, used < sizeof(known) ? "" : "...");
}

struct member *clusters_member(const struct clusters *cs, struct str label)
{
    return str_empty(label) ? cs->members[0] : map_get(&cs->by_label, label);
}

const char *clusters_context(const struct clusters *cs, struct str label)
{
    const struct member *m = clusters_member(cs, label);

    return m ? m->name : NULL;
}

const char *clusters_label(const struct clusters *cs, struct str context)
{
    const struct member *m = map_get(&cs->by_name, context);

    return !m ? NULL : m == cs->members[0] ? "" : m->label;
}

bool clusters_have_label(const struct clusters *cs, struct str label)
{
    return map_get(&cs->by_label, label) != NULL;
}

enum err clusters_find(struct clusters *cs, struct str label, struct cluster **ret,
                       struct diag *why)
{
    struct member *m = clusters_member(cs, label);

    return m ? member_connect(m, ret, why) : find_none(cs, label, why);
}

static struct cluster_status status_of(const struct member *m)
{
    struct api_error error = { .code = OK };
    struct cluster_status s = { .name = m->name,
                                .label = m->label,
                                .plain = m == m->table->members[0],
                                .several = m->table->count > 1,
                                .connected = m->cluster != NULL };

    if (m->cluster) {
        s.cluster = m->cluster;
        s.target = api_target(m->cluster->api);
        s.ready = catalog_ready(m->cluster->catalog, &error);
        if (error.code)
            diag_set(&s.error, error.code, "%s", diag_text(&error.why, error.code));
    } else if (m->failed) {
        diag_set(&s.error, m->failed, "%s", diag_text(&m->why, m->failed));
    }
    if (!m->present)
        diag_set(&s.error, ERR_NOT_CONFIGURED, "it is no longer in the kubeconfig");
    return s;
}

void clusters_each(const struct clusters *cs,
                   void (*each)(void *owner, const struct cluster_status *), void *owner)
{
    for (size_t i = 0; i < cs->count; i++) {
        const struct cluster_status s = status_of(cs->members[i]);
        each(owner, &s);
    }
}

struct cluster_status clusters_status(const struct clusters *cs, size_t i)
{
    return status_of(cs->members[i]);
}

enum err clusters_target(const struct clusters *cs, size_t i, struct kube_target **ret,
                         struct diag *why)
{
    return member_target(cs->members[i], ret, why);
}

size_t clusters_count(const struct clusters *cs)
{
    return cs->count;
}

/* ---- to all of them ---- */

void clusters_configure(struct clusters *cs)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster)
            cluster_configure(cs->members[i]->cluster, cs->settings);
}

void clusters_unpair(struct clusters *cs, uint64_t pair)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster)
            upstream_unpair(cs->members[i]->cluster->upstream, pair);
}

bool clusters_free_descriptor(struct clusters *cs)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster &&
            upstream_free_descriptor(cs->members[i]->cluster->upstream))
            return true;
    return false;
}

void clusters_trim(struct clusters *cs)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster)
            upstream_trim(cs->members[i]->cluster->upstream);
}

void clusters_check_tunnels(struct clusters *cs, const char *why)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster)
            tunnels_check(cs->members[i]->cluster->tunnels, why);
    list_for_each (c, &cs->retired, struct cluster, node)
        tunnels_check(c->tunnels, why);
}

void clusters_drain(struct clusters *cs, struct task *done)
{
    cs->drained = done;
    reload_stop(cs);
    for (size_t i = 0; i < cs->count; i++)
        member_disconnect(cs->members[i]);
    task_wake(&cs->on_ended);
}

bool clusters_idle(const struct clusters *cs)
{
    for (size_t i = 0; i < cs->count; i++)
        if (cs->members[i]->cluster)
            return false;
    return list_empty(&cs->retired);
}
