/* daemon/process.h - the process as a whole: its limits, and where it runs */
#pragma once

#include <stdbool.h>

/* Before the loop is created: ignore SIGPIPE, allow as many descriptors as the hard limit
 * does, and keep malloc and libuv to what one thread needs. */
void process_prepare(void);

/* Are we in a pod, with a service account to act as? */
bool in_pod(void);
/* $POD_UID, which the manifest sets; NULL: not known. */
const char *own_pod_uid(void);
