/* bench/load/report.h - what a load prints on standard output, for bench/load.py
 *
 * "counting" when the settling time is over, "counted" at the end, then the result: one
 * JSON object on a line.
 */
#pragma once

#include "bench/load/plan.h"

void report_counting(void);
void report_counted(const struct tally *t, uint64_t took_ns);
