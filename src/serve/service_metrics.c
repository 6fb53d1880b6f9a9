/* serve/service_metrics.c - durations of requests for each of a limited number of services */
#include "serve/service_metrics.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "base/partition.h"
#include "catalog/service.h"
#include "route/route.h"
#include "upstream/lease.h"

#define NAME "kube_tunnel_service_request_duration_seconds"

struct series {
    char *labels; /* as they are printed */
    struct histogram durations;
};

/* The cluster's number, namespace, "/" and service.  Without a call of printf, which costs
 * more than the rest of the look-up. */
struct key {
    char text[512];
    size_t len;
};

struct service_metrics {
    struct metric_printer printer;
    struct map by_key; /* struct series, see struct key */
    struct series **all;
    size_t count, max;
    struct series other;
};

static void print_series(void *owner, FILE *out)
{
    const struct service_metrics *m = owner;

    metrics_print_head(out, NAME, METRIC_HISTOGRAM,
                       "Time from the first byte of a request to the last byte of its "
                       "response, by service.");
    for (size_t i = 0; i < m->count; i++)
        histogram_print(out, NAME, m->all[i]->labels, &m->all[i]->durations);
    if (m->other.durations.count)
        histogram_print(out, NAME, m->other.labels, &m->other.durations);
}

static char *labels_of(uint16_t cluster, const char *ns, struct str service)
{
    const char *label = partition_count() ? partition_name(cluster) : NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    AUTO_FREE char *name = str_dup(service);
    if (label) {
        fputs(PARTITION_LABEL "=\"", out);
        metrics_print_value(out, label);
        fputs("\",", out);
    }
    fputs("namespace=\"", out);
    metrics_print_value(out, ns);
    fputs("\",service=\"", out);
    metrics_print_value(out, name);
    fputc('"', out);
    if (fclose(out))
        abort();
    return text;
}

struct service_metrics *service_metrics_create(size_t max)
{
    if (!max)
        return NULL;
    struct service_metrics *m = xcalloc(1, sizeof(*m));

    m->max = max;
    m->all = xcalloc(max, sizeof(struct series *));
    m->other.labels = xstrdup("namespace=\"\",service=\"other\"");
    map_init(&m->by_key);
    m->printer = (struct metric_printer){ .print = print_series, .owner = m };
    metrics_add_printer(&m->printer);
    return m;
}

void service_metrics_destroy(struct service_metrics *m)
{
    if (!m)
        return;
    metrics_remove_printer(&m->printer);
    for (size_t i = 0; i < m->count; i++) {
        free(m->all[i]->labels);
        free(m->all[i]);
    }
    free(m->all);
    free(m->other.labels);
    map_finish(&m->by_key);
    free(m);
}

static struct series *add_series(struct service_metrics *m, struct str key,
                                 uint16_t cluster, const char *ns, struct str service)
{
    if (m->count == m->max)
        return &m->other;
    struct series *s = xcalloc(1, sizeof(*s));

    s->labels = labels_of(cluster, ns, service);
    m->all[m->count++] = s;
    map_set(&m->by_key, key, s);
    return s;
}

static void key_append(struct key *k, struct str s)
{
    k->len = str_append(k->text, sizeof(k->text), k->len, s);
}

static void key_of(struct key *k, uint16_t cluster, const char *ns, struct str service)
{
    k->len = 0;
    key_append(k, (struct str){ (const char *)&cluster, sizeof(cluster) });
    key_append(k, str_of(ns));
    key_append(k, STR("/"));
    key_append(k, service);
}

void service_metrics_note(struct service_metrics *m, const struct route *route,
                          const struct lease *lease, uint16_t cluster, uint64_t ms)
{
    const struct name *name = &route->name;
    bool has_service = name->kind == NAME_SERVICE || name->kind == NAME_DEPLOYMENT;
    struct series *s = &m->other;

    if (!lease->endpoint)
        return;
    if (has_service) {
        const char *ns = lease->endpoint->ns;
        struct key at;
        key_of(&at, cluster, ns, name->service);
        struct str key = { at.text, at.len };
        s = map_get(&m->by_key, key);
        if (!s)
            s = add_series(m, key, cluster, ns, name->service);
    }
    histogram_observe_ms(&s->durations, ms);
}
