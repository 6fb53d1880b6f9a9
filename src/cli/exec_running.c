/* cli/exec_running.c - does the kube-tunnel that runs serve the clusters that exec is to have? */
#include "cli/exec_running.h"

#include <string.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cluster/clusters.h"
#include "daemon/cluster_settings.h"
#include "kube/target.h"
#include "net/loop.h"

struct comparison {
    const json_t *served; /* "clusters" of its status */
    enum err result;
    struct diag *why;
};

static void fail(struct comparison *c, const char *context)
{
    const json_t *first = json_array_get(c->served, 0);

    if (!c->result)
        c->result =
            diag_set(c->why, ERR_CONFIG,
                     "it serves context %s (%s), and not the context %s of this "
                     "command",
                     text_of(first, "context"), text_of(first, "server"), context);
}

static void compare_context(void *owner, const struct cluster_status *wanted)
{
    struct comparison *c = owner;
    const json_t *cluster;
    size_t i;
    bool found = false;

    json_array_foreach(c->served, i, cluster) found =
        found || strcmp(text_of(cluster, "context"), wanted->name) == 0;
    if (!found)
        fail(c, wanted->name);
}

/* A context of the same name may be another one in another kubeconfig. */
static void compare_first(struct comparison *c, const struct clusters *clusters)
{
    const json_t *first = json_array_get(c->served, 0);
    const char *context = clusters_status(clusters, 0).name;
    struct kube_target *target = NULL;

    enum err e = clusters_target(clusters, 0, &target, NULL);
    if (e || strcmp(text_of(first, "context"), context) != 0 ||
        strcmp(text_of(first, "server"), target->host_header) != 0)
        fail(c, context);
    kube_target_destroy(target);
}

enum err exec_running_serves(const struct config *config, const json_t *status,
                             struct diag *why)
{
    const struct clusters_choice choice = clusters_choice_of(config, true);
    struct comparison c = { json_object_get(status, "clusters"), OK, why };
    struct clusters *clusters;

    if (config->origins[SETTING_contexts].source != FROM_FLAG)
        return OK;
    struct loop *loop = loop_create();
    enum err e = clusters_create(loop, NULL, &choice, &clusters, why);
    if (!e) {
        clusters_each(clusters, compare_context, &c);
        compare_first(&c, clusters);
        clusters_destroy(clusters);
    }
    loop_destroy(loop);
    return e ? e : c.result;
}
