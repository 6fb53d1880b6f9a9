/* tunnel/shortage.h - openings that wait because a limit is reached
 *
 * Private to tunnel/.  A pod has as many tunnels as it may, or a dial that an opening waits
 * for got no descriptor: connections whose answers are not read may be ended for it (`room`
 * of the settings).  That happens from a task, never within the call that noticed it.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void shortage_init(struct tunnels *ts);
void shortage_finish(struct tunnels *ts);
/* The openings or tunnels of this pod have changed. */
void shortage_look(struct pod_tunnels *p);
void shortage_of_descriptor(struct tunnels *ts);
