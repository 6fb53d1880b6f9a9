/* tunnel/pod_removal.h - close the tunnels of a pod that no longer exists
 *
 * Private to tunnel/.  Created when the catalog reports that no service has the pod any more.
 * The runtime usually ends the connections of a deleted pod within two seconds.  Sometimes it
 * forgets one: no FIN and no error arrive, and the tunnel itself stays alive.  An endpoint
 * also leaves its service while its pod still finishes requests.  So the pod is read from the
 * API server until it does not exist or another pod has its name; then the remaining tunnels
 * are closed.
 */
#pragma once

#include "tunnel/pod.h"

#define POD_REMOVAL_MS 2500 /* before the first read, and between reads */

struct pod_removal;

struct pod_removal *pod_removal_create(struct pod *p);
void pod_removal_destroy(struct pod_removal *f); /* NULL accepted */
