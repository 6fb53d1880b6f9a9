/* base/metrics.c - the registry and its text exposition format (0.0.4)
 *
 * The registry is one of the two mutable globals of the program: a list through the
 * metrics themselves, in the order of registration.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"
#include "base/partition.h"

static struct {
    struct metric *first, *last;
    struct metric_printer *printers;
} registry;

/* Upper bounds of the buckets: as printed (seconds), and in whole milliseconds. */
static const struct {
    const char *seconds;
    uint64_t ms;
} bounds[METRIC_BUCKETS] = {
    { "0.001", 1 },  { "0.0025", 2 }, { "0.005", 5 },  { "0.01", 10 },    { "0.025", 25 },
    { "0.05", 50 },  { "0.1", 100 },  { "0.25", 250 }, { "0.5", 500 },    { "1", 1000 },
    { "2.5", 2500 }, { "5", 5000 },   { "10", 10000 }, { "100", 100000 },
};

static const char *const types[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

void metrics_register(struct metric *m)
{
    if (m->registered)
        return;
    m->registered = true;
    m->next = NULL;
    if (registry.last)
        registry.last->next = m;
    else
        registry.first = m;
    registry.last = m;
}

struct metric_part {
    int64_t series[METRIC_SERIES_MAX];
    uint64_t buckets[METRIC_BUCKETS];
    double sum;
};

static struct metric_part *part_of(struct metric *m, uint16_t cluster)
{
    if (cluster >= m->part_count) {
        m->parts = xrealloc(m->parts, (cluster + 1u) * sizeof(*m->parts));
        while (m->part_count <= cluster)
            m->parts[m->part_count++] = NULL;
    }
    if (!m->parts[cluster])
        m->parts[cluster] = xcalloc(1, sizeof(struct metric_part));
    return m->parts[cluster];
}

/* A histogram's series[0] counts all observations, those above the last bound included.
 */
static void observe(int64_t *count, uint64_t *buckets, double *sum, uint64_t ms)
{
    size_t i = 0;
    while (i < METRIC_BUCKETS && ms > bounds[i].ms)
        i++;
    if (i < METRIC_BUCKETS)
        buckets[i]++;
    ++*count;
    *sum += (double)ms / 1000;
}

void metric_observe_ms(struct metric *m, uint64_t ms)
{
    observe(m->series, m->buckets, &m->sum, ms);
}

void metric_observe_ms_for(struct metric *m, uint16_t cluster, uint64_t ms)
{
    struct metric_part *p = part_of(m, cluster);

    metric_observe_ms(m, ms);
    observe(p->series, p->buckets, &p->sum, ms);
}

void metric_add_for(struct metric *m, uint16_t cluster, size_t series, int64_t n)
{
    metric_add(m, series, n);
    part_of(m, cluster)->series[series] += n;
}

static void put_label_value(FILE *out, const char *s, bool in_quotes)
{
    for (; *s; s++) {
        if (*s == '\n')
            fputs("\\n", out);
        else if (*s == '\\' || (*s == '"' && in_quotes))
            fprintf(out, "\\%c", *s);
        else
            fputc(*s, out);
    }
}

/* The labels of one sample; either may be NULL. */
struct labels {
    const char *cluster, *key, *value;
};

static void put_label(FILE *out, const char **before, const char *key, const char *value)
{
    if (!value)
        return;
    fprintf(out, "%s%s=\"", *before, key);
    put_label_value(out, value, true);
    fputc('"', out);
    *before = ",";
}

static void put_labels(FILE *out, const struct labels *l)
{
    const char *before = "{";

    put_label(out, &before, PARTITION_LABEL, l->cluster);
    put_label(out, &before, l->key, l->value);
    if (before[0] == ',')
        fputc('}', out);
}

static void put_series(FILE *out, const struct metric *m, const int64_t *series,
                       const char *cluster)
{
    size_t count = 0;

    while (m->label && count < METRIC_SERIES_MAX && m->values[count])
        count++;
    for (size_t i = 0; i < (m->label ? count : 1); i++) {
        const struct labels l = { cluster, m->label, m->label ? m->values[i] : NULL };
        fputs(m->name, out);
        put_labels(out, &l);
        fprintf(out, " %" PRId64 "\n", series[i]);
    }
}

static void put_histogram(FILE *out, const struct metric *m, const int64_t *series,
                          const uint64_t *buckets, double sum, const char *cluster)
{
    const struct labels l = { .cluster = cluster };
    uint64_t below = 0;

    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        bool last = i == METRIC_BUCKETS;
        const struct labels le = { cluster, "le", last ? "+Inf" : bounds[i].seconds };
        below = last ? (uint64_t)series[0] : below + buckets[i];
        fprintf(out, "%s_bucket", m->name);
        put_labels(out, &le);
        fprintf(out, " %" PRIu64 "\n", below);
    }
    fprintf(out, "%s_sum", m->name);
    put_labels(out, &l);
    fprintf(out, " %.3f\n%s_count", sum, m->name);
    put_labels(out, &l);
    fprintf(out, " %" PRId64 "\n", series[0]);
}

static void put_samples(FILE *out, const struct metric *m, const int64_t *series,
                        const uint64_t *buckets, double sum, const char *cluster)
{
    if (m->type == METRIC_HISTOGRAM)
        put_histogram(out, m, series, buckets, sum, cluster);
    else
        put_series(out, m, series, cluster);
}

/* Values that belong to no cluster have an empty label. */
static void put_parts(FILE *out, const struct metric *m)
{
    for (size_t i = 0; i < m->part_count; i++) {
        const struct metric_part *p = m->parts[i];
        const char *name = i ? partition_name((uint16_t)i) : "";
        if (p && name)
            put_samples(out, m, p->series, p->buckets, p->sum, name);
    }
}

void metrics_print_head(FILE *out, const char *name, enum metric_type type,
                        const char *help)
{
    fprintf(out, "# HELP %s ", name);
    put_label_value(out, help, false);
    fprintf(out, "\n# TYPE %s %s\n", name, types[type]);
}

static void put_metric(FILE *out, const struct metric *m)
{
    metrics_print_head(out, m->name, m->type, m->help);
    if (m->parts && partition_count())
        put_parts(out, m);
    else
        put_samples(out, m, m->series, m->buckets, m->sum, NULL);
}

void metrics_add_printer(struct metric_printer *p)
{
    p->next = registry.printers;
    registry.printers = p;
}

void metrics_remove_printer(struct metric_printer *p)
{
    for (struct metric_printer **at = &registry.printers; *at; at = &(*at)->next) {
        if (*at != p)
            continue;
        *at = p->next;
        return;
    }
}

void metrics_print_value(FILE *out, const char *value)
{
    put_label_value(out, value, true);
}

void histogram_observe_ms(struct histogram *h, uint64_t ms)
{
    observe(&h->count, h->buckets, &h->sum, ms);
}

void histogram_print(FILE *out, const char *name, const char *labels,
                     const struct histogram *h)
{
    uint64_t below = 0;

    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        below += h->buckets[i];
        fprintf(out, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, labels,
                bounds[i].seconds, below);
    }
    fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRId64 "\n", name, labels, h->count);
    fprintf(out, "%s_sum{%s} %.3f\n%s_count{%s} %" PRId64 "\n", name, labels, h->sum,
            name, labels, h->count);
}

char *metrics_text(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    for (const struct metric *m = registry.first; m; m = m->next)
        put_metric(out, m);
    for (const struct metric_printer *p = registry.printers; p; p = p->next)
        p->print(p->owner, out);
    if (fclose(out))
        abort();
    return text;
}
