/* tunnel/pod_removal.h - poll the API server until a pod does not exist any more
 *
 * Private to tunnel/.  Created when no service has the pod any more.  The runtime usually ends
 * the connections of a deleted pod within two seconds, but sometimes it misses one: no FIN and
 * no error arrive, and the tunnel itself stays alive.  On the other hand an endpoint leaves
 * its service while its pod still finishes requests.  So the pod is read from the API server
 * (catalog/pod_check.h) until it does not exist or another pod has its name; then `on_gone`
 * is called, which closes the remaining tunnels.
 */
#pragma once

#include "catalog/pod_check.h"

#define POD_REMOVAL_MS 2500 /* before the first read, and between reads */

struct pod_removal;

/* The texts are borrowed.  on_gone may destroy the removal. */
struct pod_removal *pod_removal_create(struct sched *sched, struct api *api,
                                       const char *ns, const char *name, const char *uid,
                                       void (*on_gone)(void *owner), void *owner);
void pod_removal_destroy(struct pod_removal *r); /* NULL accepted */
