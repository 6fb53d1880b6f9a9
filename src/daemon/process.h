/* daemon/process.h - the process as a whole: its limits, and where it runs */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "catalog/own_pod.h"

/* Call it before the loop is created.  Ignores SIGPIPE, raises the limit on descriptors
 * to the hard limit, and restricts malloc and libuv to one arena and one thread. */
void process_prepare(void);
/* Part of it: for a process that holds values of Secrets. */
void process_forbid_dumps(void);

/* How many clients the limit on open files allows, at most `max`, after this process's
 * own files and those reserved for tunnels.  `surplus` more are accepted, to refuse them
 * with a 503. */
struct client_limit {
    size_t clients, surplus;
    size_t files; /* the limit on open files */
};
struct client_limit process_client_limit(size_t max);

/* Does this process run in a pod with a service account? */
bool in_pod(void);
/* The pod this process runs in: $POD_UID, which the manifest in deploy/ sets, and with a
 * service account also the namespace and the host name, which is the pod's name unless
 * its spec has another one.  Zeroed outside a pod.  The name is stored in `room`; ns is
 * borrowed. */
#define OWN_NAME_ROOM 256
struct own_pod own_pod(const char *ns, char room[static OWN_NAME_ROOM]);
