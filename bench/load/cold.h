/* bench/load/cold.h - how long a program takes from its start to its first answer */
#pragma once

#include "base/err.h"
#include "bench/load/plan.h"

/* Start argv, in which {port} stands for a free port of 127.0.0.1, request from that port every
 * millisecond until it answers with a 200, and stop the program again.  The plan gives
 * the request and, as duration_ns, the limit.
 *
 * OK           *ret_ns is the time from before the fork to the complete answer
 * ERR_TIMEOUT  there was none within the limit
 * ERR_EOF      the program ended first
 * ERR_IO       no port, no process */
MUST_CHECK enum err cold_start(const struct plan *p, char **argv, uint64_t *ret_ns);
