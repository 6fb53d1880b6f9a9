/* catalog/note.h - a text that explains why none of a service's pods can serve
 *
 * Private to catalog/.
 */
#pragma once

#include "catalog/objects.h"

bool pod_is_running(const struct pod *p);
bool pod_is_over(const struct pod *p); /* Succeeded or Failed */

/* "pod web-1 Pending (ImagePullBackOff)"; owned by the caller. */
char *note_of_pod(const struct pod *p);
/* "2 pods match selector app=web, none is running: ..."; owned by the caller; NULL: there is no
 * reason to state.  pods: NULL if not listed; not_pods: number of endpoints that are no pods. */
char *note_of_service(const struct service *s, const char *selector,
                      const struct pod_list *pods, size_t not_pods);
