/* catalog/note.h - why none of a service's pods can serve, in words
 *
 * Private to catalog/.
 */
#pragma once

#include "catalog/objects.h"

bool pod_is_running(const struct pod *p);
bool pod_is_over(const struct pod *p); /* Succeeded or Failed */

/* "pod web-1 Pending (ImagePullBackOff)"; owned by the caller. */
char *note_of_pod(const struct pod *p);
/* "2 pods match selector app=web, none is running: ..."; owned, NULL: there is no reason.
 * pods: NULL when they were not listed; not_pods: endpoints that are no pods. */
char *note_of_service(const struct service *s, const char *selector,
                      const struct pod_list *pods, size_t not_pods);
