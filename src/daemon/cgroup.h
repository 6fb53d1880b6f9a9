/* daemon/cgroup.h - the memory limit of this process's container or service */
#pragma once

#include <stdint.h>

/* The smallest limit of this process's cgroup and those above it, of cgroup v2
 * (memory.max) or v1 (memory.limit_in_bytes).  0: there is none, or it cannot be read.
 * `root` is "" except in tests. */
uint64_t cgroup_memory_max(const char *root);
