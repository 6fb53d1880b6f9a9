/* catalog/own_pod.h - the pod that kube-tunnel runs in
 *
 * Known by its UID where the manifest sets $POD_UID, and by namespace and name where
 * kube-tunnel acts as the service account of its pod.  Pure.
 */
#pragma once

#include <stdbool.h>

struct endpoint;

/* Zeroed outside a pod: no endpoint is this one.  All strings are borrowed. */
struct own_pod {
    const char *uid;       /* or NULL: not known */
    const char *ns, *name; /* likewise */
};

/* Is this endpoint the pod that we run in? */
bool own_pod_is(const struct own_pod *own, const struct endpoint *e);
