/* net/loop.h - the event loop: libuv under a run queue
 *
 * One loop, one thread.  libuv's callbacks only note facts and wake tasks; after each
 * poll the run queue (base/sched.h) runs them.  Everything that needs the loop takes it
 * as an argument: there is no default loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bufq.h"
#include "base/sched.h"

struct loop;

struct loop *loop_create(void);
/* Every handle must be closed by its owner; runs the loop until they are gone. */
void loop_destroy(struct loop *l);

struct sched *loop_sched(struct loop *l);
struct chunk_pool *loop_pool(struct loop *l);

/* Run until loop_stop.  loop_run_once is one turn, waiting for an event at most max_ms.
 */
void loop_run(struct loop *l);
void loop_run_once(struct loop *l, uint64_t max_ms);
void loop_stop(struct loop *l);

/* Deliver a Unix signal as a wake-up; *count is the number of signals received. */
struct loop_signal;
struct loop_signal *loop_signal_open(struct loop *l, int signum, unsigned *count,
                                     struct task *wake);
void loop_signal_close(struct loop_signal *s); /* NULL accepted */
