/* tunnel/shortage.h - openings that wait because a limit is reached
 *
 * Private to tunnel/.  If a pod has tunnels_max tunnels, or a dial that an opening waits for
 * got no descriptor, serve/ is called (settings.room) to end a connection whose response is not
 * read.  That happens in a task of its own, never within the call that detected the shortage.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void shortage_init(struct tunnels *ts);
void shortage_finish(struct tunnels *ts);
/* Check this pod, after its openings or tunnels have changed. */
void shortage_check(struct pod_tunnels *p);
/* A dial that an opening waits for got no descriptor. */
void shortage_of_descriptor(struct tunnels *ts);
