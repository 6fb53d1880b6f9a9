/* bench/load/samples.c - every latency of a run, for exact percentiles */
#include "bench/load/samples.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

void samples_init(struct samples *s)
{
    memset(s, 0, sizeof(*s));
}

void samples_finish(struct samples *s)
{
    free(s->at);
    samples_init(s);
}

void samples_add(struct samples *s, uint64_t ns)
{
    uint64_t us = ns / 1000;

    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 65536;
        s->at = xrealloc(s->at, s->room * sizeof(*s->at));
    }
    s->at[s->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void samples_sort(struct samples *s)
{
    if (s->count)
        qsort(s->at, s->count, sizeof(*s->at), compare);
}

uint32_t samples_percentile(const struct samples *s, double percent)
{
    if (s->count == 0)
        return 0;
    size_t below = (size_t)(percent / 100 * (double)s->count);
    return s->at[below < s->count ? below : s->count - 1];
}
