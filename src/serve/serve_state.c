/* serve/serve_state.c - what all sessions share */
#include "serve/serve_state.h"

#include "cluster/clusters.h"

static bool is_label(const void *owner, struct str label)
{
    return clusters_have_label(owner, label);
}

struct rules serve_rules(const struct serve *s)
{
    return (struct rules){ s->config, s->naming, is_label, s->clusters };
}

void serve_client_left(struct serve *s, const struct visitor *from)
{
    s->count--;
    s->refused -= from->refused;
    if (s->draining && s->count == 0)
        task_wake(s->drained);
}
