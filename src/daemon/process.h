/* daemon/process.h - the process as a whole: its limits, and where it runs */
#pragma once

#include <stdbool.h>

#include "upstream/upstream.h"

/* Before the loop is created: ignore SIGPIPE, allow as many descriptors as the hard limit
 * does, and keep malloc and libuv to what one thread needs. */
void process_prepare(void);

/* Are we in a pod, with a service account to act as? */
bool in_pod(void);
/* Which pod: by $POD_UID, which our manifest sets, and by the host name, which is the pod's
 * unless its spec says otherwise.  Zeroed outside a pod.  `room` keeps the name. */
#define OWN_NAME_ROOM 256
struct own_pod own_pod(const char *ns, char room[static OWN_NAME_ROOM]);
