/* tunnel/shortage.h - openings that wait because a limit is reached
 *
 * A pod has as many tunnels as it may, or a dial that an opening waits for got no descriptor:
 * clients whose answers are not read may give way (`room` of the settings).  That is asked
 * for from a task, never from within what noticed it.  Private to tunnel/.
 */
#pragma once

#include "base/list.h"
#include "base/sched.h"

struct pod;
struct tunnels;

struct shortage {
    struct task task;
    struct timer again;    /* runs: there was a look at `full` just now */
    struct list_node full; /* pods with as many tunnels as may be */
    uint32_t descriptors;  /* that dials lacked, and that are not asked for yet */
};

void shortage_init(struct tunnels *ts);
void shortage_finish(struct tunnels *ts);
/* The openings or tunnels of this pod have changed. */
void shortage_look(struct pod *p);
void shortage_of_descriptor(struct tunnels *ts);
