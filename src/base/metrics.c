/* base/metrics.c - the registry and its text exposition format (0.0.4)
 *
 * The registry is one of the two mutable globals of the program: a list through the
 * metrics themselves, in the order of registration.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"

static struct {
    struct metric *first, *last;
} registry;

/* Upper bounds, as printed, and in the whole milliseconds that fall under them. */
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

/* A histogram's series[0] counts all observations, those above the last bound included.
 */
void metric_observe_ms(struct metric *m, uint64_t ms)
{
    size_t i = 0;
    while (i < METRIC_BUCKETS && ms > bounds[i].ms)
        i++;
    if (i < METRIC_BUCKETS)
        m->buckets[i]++;
    m->series[0]++;
    m->sum += (double)ms / 1000;
}

static void put_escaped(FILE *out, const char *s, bool in_quotes)
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

static void put_series(FILE *out, const struct metric *m)
{
    if (!m->label) {
        fprintf(out, "%s %" PRId64 "\n", m->name, m->series[0]);
        return;
    }
    for (size_t i = 0; i < METRIC_SERIES_MAX && m->values[i]; i++) {
        fprintf(out, "%s{%s=\"", m->name, m->label);
        put_escaped(out, m->values[i], true);
        fprintf(out, "\"} %" PRId64 "\n", m->series[i]);
    }
}

static void put_histogram(FILE *out, const struct metric *m)
{
    uint64_t below = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        below += m->buckets[i];
        fprintf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", m->name, bounds[i].seconds,
                below);
    }
    fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", m->name, m->series[0]);
    fprintf(out, "%s_sum %.3f\n", m->name, m->sum);
    fprintf(out, "%s_count %" PRId64 "\n", m->name, m->series[0]);
}

static void put_metric(FILE *out, const struct metric *m)
{
    fprintf(out, "# HELP %s ", m->name);
    put_escaped(out, m->help, false);
    fprintf(out, "\n# TYPE %s %s\n", m->name, types[m->type]);
    if (m->type == METRIC_HISTOGRAM)
        put_histogram(out, m);
    else
        put_series(out, m);
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
    if (fclose(out))
        abort();
    return text;
}
