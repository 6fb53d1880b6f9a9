/* serve/serve_state.c - what all sessions share */
#include "serve/serve_state.h"

#include "base/metrics.h"
#include "cluster/clusters.h"

static struct metric sessions = {
    .name = "kube_tunnel_sessions",
    .help = "Connected clients.",
    .type = METRIC_GAUGE,
};

void serve_metrics_register(void)
{
    metrics_register(&sessions);
}

static bool is_label(const void *owner, struct str label)
{
    return clusters_have_label(owner, label);
}

struct rules serve_rules(const struct serve *s)
{
    return (struct rules){ s->config, s->naming, is_label, s->clusters };
}

void serve_client_came(struct serve *s)
{
    s->count++;
    metric_add(&sessions, 0, 1);
}

void serve_client_left(struct serve *s, const struct visitor *from)
{
    metric_add(&sessions, 0, -1);
    s->count--;
    s->refused -= from->refused;
    if (s->draining && s->count == 0)
        task_wake(s->drained);
}
