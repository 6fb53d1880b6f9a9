/* base/partition.h - the parts that log lines and metrics are told apart by
 *
 * With several clusters each one is a part: its log lines have a field, and its metrics a
 * label "cluster".  Parts have numbers from 1; 0 is the process as a whole.  While no part
 * has a name, nothing of this is seen.  A part of the log's and the metrics' global state.
 */
#pragma once

#include <stdint.h>

#define PARTITION_LABEL "cluster"
#define PARTITIONS_MAX UINT16_MAX

/* The name is borrowed; NULL takes it back.  number: from 1. */
void partition_set_name(uint16_t number, const char *name);
/* NULL: it has none. */
const char *partition_name(uint16_t number);
/* How many have a name. */
unsigned partition_count(void);
