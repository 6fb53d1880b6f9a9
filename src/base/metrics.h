/* base/metrics.h - counters, gauges and histograms, and their Prometheus text
 *
 * A metric is a static in the module that counts; metrics_register (from that module's
 * constructor-free init) puts it into the registry that /metrics walks.  A metric may
 * have one label with a fixed set of values, so that nothing a peer sends can grow the
 * registry.  With several clusters, a sample per cluster is printed, with the label
 * "cluster".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <stdio.h>

#include "base/str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* What one cluster counted (base/partition.h); the metric itself has the sum. */
struct metric_part;

#define METRIC_SERIES_MAX 12
#define METRIC_BUCKETS 14

struct metric {
    const char
        *name; /* kube_tunnel_..., with the unit and _total as Prometheus recommends */
    const char *help;
    enum metric_type type;
    const char *label;                     /* NULL: one series without a label */
    const char *values[METRIC_SERIES_MAX]; /* of the label; ends with NULL if fewer */
    int64_t series[METRIC_SERIES_MAX];     /* series[0] when there is no label */
    uint64_t buckets[METRIC_BUCKETS]; /* histograms of seconds: 1 ms .. 100 s, cumulative
                                              only when printed */
    double sum;
    struct metric_part **parts; /* private: by number, with holes */
    size_t part_count;          /* private */
    struct metric *next;        /* private */
    bool registered;            /* private */
};

void metrics_register(struct metric *m); /* idempotent */

static inline void metric_add(struct metric *m, size_t series, int64_t n)
{
    m->series[series] += n;
}
static inline void metric_set(struct metric *m, size_t series, int64_t value)
{
    m->series[series] = value;
}
void metric_observe_ms(struct metric *m, uint64_t ms);

/* The same for one cluster, by its number; 0: for the process as a whole.  Gauges are
 * changed by metric_add_for only, so that the total is the sum of the clusters. */
void metric_add_for(struct metric *m, uint16_t cluster, size_t series, int64_t n);
void metric_observe_ms_for(struct metric *m, uint16_t cluster, uint64_t ms);

/* Samples that are made when they are printed: of states, or with other labels. */
struct metric_printer {
    void (*print)(void *owner, FILE *out);
    void *owner;
    struct metric_printer *next; /* private */
};
void metrics_add_printer(struct metric_printer *p);
void metrics_remove_printer(struct metric_printer *p); /* idempotent */
/* For printers: the two lines before the first sample, and a label's value. */
void metrics_print_head(FILE *out, const char *name, enum metric_type type,
                        const char *help);
void metrics_print_value(FILE *out, const char *value);

/* A histogram with the buckets of all histograms here, outside of the registry. */
struct histogram {
    uint64_t buckets[METRIC_BUCKETS];
    int64_t count;
    double sum;
};
void histogram_observe_ms(struct histogram *h, uint64_t ms);
/* `labels`: "service=\"a\"", escaped. */
void histogram_print(FILE *out, const char *name, const char *labels,
                     const struct histogram *h);

/* The text exposition format 0.0.4 of all of them; owned by the caller. */
char *metrics_text(void);
