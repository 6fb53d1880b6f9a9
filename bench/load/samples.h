/* bench/load/samples.h - every latency of a run, for exact percentiles */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct samples {
    uint32_t *at; /* microseconds */
    size_t count, room;
};

void samples_init(struct samples *s);
void samples_finish(struct samples *s);
void samples_add(struct samples *s, uint64_t ns);
void samples_sort(struct samples *s);
/* The smallest value that `percent` of them do not exceed; 0 without any. Sorted only. */
uint32_t samples_percentile(const struct samples *s, double percent);
