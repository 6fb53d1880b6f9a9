/* base/partition.h - the number and name of a part, for log lines and metrics
 *
 * With several clusters each one is a part: its log lines have a field, and its metrics a
 * label "cluster".  Parts have numbers from 1; 0 is the process as a whole.  While no
 * part has a name, logs and metrics have no such field.  The names are global state, like
 * the log and the metrics.
 */
#pragma once

#include <stdint.h>

#define PARTITION_LABEL "cluster"
#define PARTITIONS_MAX UINT16_MAX

/* The name is borrowed; NULL removes it.  number: from 1. */
void partition_set_name(uint16_t number, const char *name);
/* NULL: it has none. */
const char *partition_name(uint16_t number);
/* How many have a name. */
unsigned partition_count(void);
