/* daemon/cgroup.h - how much memory the container or the service we run in may use */
#pragma once

#include <stdint.h>

/* The least limit on our cgroup and those above it, of cgroup v2 (memory.max) or v1
 * (memory.limit_in_bytes).  0: there is none, or it cannot be read.  `root` is "" but in
 * tests. */
uint64_t cgroup_memory_max(const char *root);
