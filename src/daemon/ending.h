/* daemon/ending.h - the steps in which the process ends
 *
 * Three, each begun when the one before is over: DRAINING (the listeners close, sessions finish
 * their exchange or are reset after drain-timeout), PARTING (idle connections and tunnels are closed
 * in order, for which they get PARTING_MS), and then the loop stops.  Private to daemon/.
 */
#pragma once

struct daemon;

void ending_init(struct daemon *d);  /* the loop exists */
void ending_begin(struct daemon *d); /* in the state RUNNING */
/* New clients are refused from now on, and the process goes on until it is stopped. */
void ending_refuse_clients(struct daemon *d);
void ending_cancel(struct daemon *d); /* before the loop is destroyed */
