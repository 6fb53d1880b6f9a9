/* cluster/member.c - one context of the kubeconfig, connected when it is requested */
#include "base/log.h"
#include "base/own.h"
#include "base/partition.h"
#include "cluster/cluster.h"
#include "cluster/settings.h"
#include "cluster/table.h"
#include "kube/target_load.h"

LOG_MODULE(cluster);

#define FAILED_MS 1000 /* a context that cannot be used is not read again sooner */

static bool is_first(const struct member *m)
{
    return m->table->members[0] == m;
}

static enum err note_failure(struct member *m, enum err e, struct diag *why)
{
    m->failed_until = m->table->sched->now + FAILED_MS;
    if (m->failed == OK || strcmp(m->why.text, why->text) != 0)
        log_warn(CLUSTER_ID(m->number), "a context cannot be used",
                 LOG_S("context", m->name), LOG_S("reason", diag_text(why, e)));
    m->failed = ERR_CONFIG; /* also when a file that it names is missing */
    m->why = *why;
    return ERR_CONFIG;
}

/* By namespace and name our pod is known in one cluster only; its UID is unique anywhere. */
static struct cluster_settings settings_of(const struct member *m)
{
    struct cluster_settings s = *m->table->settings;

    if (!is_first(m))
        s.upstream.own.ns = s.upstream.own.name = NULL;
    s.tunnels.last_id = &m->table->last_tunnel_id;
    s.direct.last_id = &m->table->last_direct_id;
    return s;
}

enum err member_replace(struct member *m, struct kube_target *target, struct diag *why)
{
    const struct cluster_settings settings = settings_of(m);
    struct cluster *fresh;
    enum err e =
        cluster_create(m->table->loop, &settings, m->number, target, &fresh, why);

    if (e)
        return e;
    member_disconnect(m);
    m->cluster = fresh;
    m->failed = OK;
    return OK;
}

enum err member_target(const struct member *m, struct kube_target **ret, struct diag *why)
{
    const struct clusters *cs = m->table;

    if (cs->in_cluster)
        return kube_target_load(cs->choice.kubeconfig, NULL, cs->choice.ns, ret, why);
    return kube_target_from(cs->kubeconfig, m->name, cs->choice.ns, ret, why);
}

static enum err connect_member(struct member *m, struct diag *why)
{
    struct kube_target *target;
    enum err e = member_target(m, &target, why);

    if (!e)
        e = member_replace(m, target, why);
    if (e)
        return note_failure(m, e, why);
    if (!is_first(m))
        log_info(CLUSTER_ID(m->number), "context connected", LOG_S("context", m->name),
                 LOG_S("server", api_target(m->cluster->api)->server));
    return OK;
}

enum err member_connect(struct member *m, struct cluster **ret, struct diag *why)
{
    enum err e = OK;

    if (!m->present)
        return diag_set(why, ERR_NOT_CONFIGURED,
                        "context \"%s\" is no longer in the kubeconfig", m->name);
    if (!m->cluster && m->failed && m->table->sched->now < m->failed_until) {
        *why = m->why;
        return m->failed;
    }
    if (!m->cluster)
        e = connect_member(m, why);
    if (e)
        return e;
    *ret = cluster_ref(m->cluster);
    return OK;
}

void member_disconnect(struct member *m)
{
    struct cluster *old = TAKE(m->cluster);

    if (!old)
        return;
    list_append(&m->table->retired, &old->node);
    cluster_retire(old, &m->table->on_ended);
    cluster_unref(old);
}

void member_destroy(struct member *m)
{
    partition_set_name(m->number, NULL);
    cluster_destroy(m->cluster);
    free(m->name);
    free(m);
}
