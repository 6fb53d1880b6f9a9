/* cluster/clusters.c - the clusters of this process */
#include "cluster/clusters.h"

#include "base/own.h"

struct clusters {
    struct loop *loop;
    const struct cluster_settings *settings;
    struct cluster *primary;
};

struct clusters *clusters_create(struct loop *loop,
                                 const struct cluster_settings *settings)
{
    struct clusters *cs = xcalloc(1, sizeof(*cs));

    cs->loop = loop;
    cs->settings = settings;
    return cs;
}

enum err clusters_add(struct clusters *cs, struct kube_target *target, struct diag *why)
{
    return cluster_create(cs->loop, cs->settings, 1, target, &cs->primary, why);
}

enum err clusters_find(struct clusters *cs, struct str label, struct cluster **ret,
                       struct diag *why)
{
    if (!str_empty(label))
        return diag_set(why, ERR_NO_CONTEXT, "no context \"%.*s\"", STR_ARG(label));
    *ret = cluster_ref(cs->primary);
    return OK;
}

const struct cluster *clusters_primary(const struct clusters *cs)
{
    return cs->primary;
}

bool clusters_ready(const struct clusters *cs, struct api_error *ret_error)
{
    return catalog_ready(cs->primary->catalog, ret_error);
}

void clusters_unpair(struct clusters *cs, uint64_t pair)
{
    upstream_unpair(cs->primary->upstream, pair);
}

void clusters_trim(struct clusters *cs)
{
    upstream_trim(cs->primary->upstream);
}

void clusters_doubt(struct clusters *cs, const char *why)
{
    if (cs->primary)
        tunnels_doubt(cs->primary->tunnels, why);
}

void clusters_drain(struct clusters *cs, struct task *done)
{
    upstream_drain(cs->primary->upstream, done);
    tunnels_drain(cs->primary->tunnels, done);
}

bool clusters_idle(const struct clusters *cs)
{
    return tunnels_idle(cs->primary->tunnels);
}

void clusters_destroy(struct clusters *cs)
{
    if (!cs)
        return;
    cluster_destroy(cs->primary);
    free(cs);
}
