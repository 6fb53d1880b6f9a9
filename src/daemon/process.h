/* daemon/process.h - the process as a whole: its limits, and where it runs */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "catalog/own_pod.h"

/* Before the loop is created: ignore SIGPIPE, allow as many descriptors as the hard limit
 * does, and keep malloc and libuv to what one thread needs. */
void process_prepare(void);

/* How many clients the limit on open files allows, at most `max`: what our own files need
 * and what is kept for tunnels is taken off.  `surplus` more are accepted, to be refused. */
struct client_limit {
    size_t clients, surplus;
    size_t files; /* the limit on open files */
};
struct client_limit process_client_limit(size_t max);

/* Are we in a pod, with a service account to act as? */
bool in_pod(void);
/* Which pod: by $POD_UID, which our manifest sets, and with a service account also by
 * namespace and host name, which is the pod's unless its spec has another one.  Zeroed
 * outside a pod.  `room` keeps the name; ns is borrowed. */
#define OWN_NAME_ROOM 256
struct own_pod own_pod(const char *ns, char room[static OWN_NAME_ROOM]);
