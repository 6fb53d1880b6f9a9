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

bool serve_leads_outside(const struct serve *s)
{
    return s->outside && !s->in_pod && (s->config->proxy_outside || s->outside_holds > 0);
}

/* Only for a program of the same user, which could connect there itself. */
static bool may_leave(const struct serve *s, const struct visitor *from)
{
    return from && serve_leads_outside(s) && from->loopback && from->same_user;
}

struct rules serve_rules(const struct serve *s, const struct visitor *from)
{
    return (struct rules){
        .config = s->config,
        .naming = s->naming,
        .is_label = is_label,
        .owner = s->clusters,
        .outside = may_leave(s, from),
        .any_port_outside = s->outside_holds > 0,
    };
}

enum service_tls_mode serve_tls_mode(const struct serve *s, const struct name *name)
{
    struct str of = str_empty(name->service) ? name->endpoint : name->service;

    return s->leaves ? config_tls_mode(s->config, name->ns, of) : SERVICE_TLS_PASSTHROUGH;
}

bool serve_may_end_tls(const struct serve *s, const struct route *route, enum err result)
{
    const uint16_t https = 443;

    return result == ERR_NO_PORT && (route->tls || route->port == https) &&
           serve_tls_mode(s, &route->name) != SERVICE_TLS_PASSTHROUGH;
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
