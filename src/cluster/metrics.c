/* cluster/metrics.c - samples of the clusters' states, made when they are printed */
#include "cluster/metrics.h"

#include <inttypes.h>

#include "base/str.h"
#include "cluster/cluster.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "tunnel/tunnels.h"
#include "upstream/upstream.h"

/* A tunnel that is not open yet has no transport. */
static const char *const states[] = { "dialling", "open", "retired" };
static const char *const transports[] = { "none", "spdy", "websocket" };

struct tunnel_counts {
    size_t of[ARRAY_LEN(states)][ARRAY_LEN(transports)];
};

static size_t place(const char *const *list, size_t count, const char *text)
{
    size_t i = 0;

    while (i < count && strcmp(list[i], text) != 0)
        i++;
    return i;
}

static void count_tunnel(void *owner, const struct tunnel_status *s)
{
    struct tunnel_counts *counts = owner;
    const char *transport = s->transport ? s->transport : "none";
    size_t state = place(states, ARRAY_LEN(states), s->state);
    size_t way = place(transports, ARRAY_LEN(transports), transport);

    if (state < ARRAY_LEN(states) && way < ARRAY_LEN(transports))
        counts->of[state][way]++;
}

/* "cluster=\"prod\"," where there are several. */
static void print_cluster(FILE *out, const struct cluster_status *s, const char *end)
{
    if (!s->several)
        return;
    fputs("cluster=\"", out);
    metrics_print_value(out, s->label);
    fprintf(out, "\"%s", end);
}

static void print_sample(FILE *out, const char *name, const struct cluster_status *s,
                         int64_t value)
{
    fputs(name, out);
    if (s->several)
        fputc('{', out);
    print_cluster(out, s, "}");
    fprintf(out, " %" PRId64 "\n", value);
}

static void print_tunnels(void *owner, const struct cluster_status *s)
{
    struct tunnel_counts counts = { 0 };
    FILE *out = owner;

    if (!s->cluster)
        return;
    tunnels_each(s->cluster->tunnels, count_tunnel, &counts);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        for (size_t j = 0; j < ARRAY_LEN(transports); j++) {
            fputs("kube_tunnel_tunnel_states{", out);
            print_cluster(out, s, ",");
            fprintf(out, "state=\"%s\",transport=\"%s\"} %zu\n", states[i], transports[j],
                    counts.of[i][j]);
        }
    }
}

static void print_waiting(void *owner, const struct cluster_status *s)
{
    if (s->cluster)
        print_sample(owner, "kube_tunnel_waiting_requests", s,
                     (int64_t)upstream_waiting(s->cluster->upstream));
}

static void print_ready(void *owner, const struct cluster_status *s)
{
    print_sample(owner, "kube_tunnel_cluster_ready", s, s->ready);
}

static void print_expiry(void *owner, const struct cluster_status *s)
{
    int64_t at = s->cluster ? credentials_expiry(api_credentials(s->cluster->api)) : 0;

    if (at)
        print_sample(owner, "kube_tunnel_credential_expiry_timestamp_seconds", s, at);
}

void cluster_metrics_print(void *owner, FILE *out)
{
    const struct clusters *cs = owner;

    metrics_print_head(out, "kube_tunnel_build_info", METRIC_GAUGE,
                       "The version of this program; always 1.");
    fputs("kube_tunnel_build_info{version=\"" VERSION "\"} 1\n", out);
    metrics_print_head(out, "kube_tunnel_tunnel_states", METRIC_GAUGE,
                       "Tunnels, by state and transport.");
    clusters_each(cs, print_tunnels, out);
    metrics_print_head(out, "kube_tunnel_waiting_requests", METRIC_GAUGE,
                       "Requests and connections that wait for an endpoint.");
    clusters_each(cs, print_waiting, out);
    metrics_print_head(out, "kube_tunnel_cluster_ready", METRIC_GAUGE,
                       "1: the services are known, by a watch or by the rights to look "
                       "them up.");
    clusters_each(cs, print_ready, out);
    metrics_print_head(out, "kube_tunnel_credential_expiry_timestamp_seconds",
                       METRIC_GAUGE,
                       "When the credential in use expires; no sample: it does not.");
    clusters_each(cs, print_expiry, out);
}
