/* base/sched.h - the run queue, the clock, timers and randomness of one loop
 *
 * Everything that lives is a task.  Waking one only puts it on a list; sched_run calls it
 * later, from the bottom of the stack, so nothing ever runs inside something else.  Ranks
 * run in order, and a rank runs only while the lower ones are empty: carriers read first,
 * exchanges work on what came, and each carrier flushes once per turn, which is what
 * makes one TLS record of many small frames.
 *
 * No event loop in here: net/loop.c drives it from libuv, tests call sched_run(s, now).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum rank { RANK_READ, RANK_WORK, RANK_FLUSH };
#define RANKS 3

struct sched;

struct task {
    void (*run)(struct task *);
    struct sched *sched;
    enum rank rank;
    struct list_node ready;
};

void task_init(struct task *, struct sched *, enum rank, void (*run)(struct task *));
void task_wake(struct task *);  /* run in this turn; idempotent; NULL accepted */
void task_yield(struct task *); /* run in the next turn; the loop does not block before */
void task_cancel(struct task *); /* forget a wake-up; in every destructor; idempotent */

struct timer {
    void (*fire)(struct timer *);
    struct sched *sched;
    uint64_t at;     /* ms on the sched's clock; 0: not set */
    uint64_t queued; /* private: where the heap has it, <= at */
    size_t slot;     /* private: place in the heap + 1; 0: not in it */
};

void timer_init(struct timer *, struct sched *, void (*fire)(struct timer *));
void timer_set(struct timer *, uint64_t after_ms); /* from now; 0 stops it */
void timer_set_at(struct timer *, uint64_t at_ms); /* 0 stops it */
void timer_stop(struct timer *);                   /* in every destructor; idempotent */

struct sched {
    struct list_node ready[RANKS];
    struct list_node yielded;
    uint64_t now; /* ms, monotonic, starts above 0; every deadline is on this clock */
    struct timer **heap;
    size_t timers, heap_room;
    uint64_t random;
};

void sched_init(struct sched *s, uint64_t seed);
void sched_finish(struct sched *s);

/* Fire the timers due at `now`, then run tasks until no rank has one. */
void sched_run(struct sched *s, uint64_t now);
/* ms until something is due: 0 with yielded tasks, UINT64_MAX with nothing to wait for.
 */
uint64_t sched_wait(const struct sched *s);

uint64_t sched_random(struct sched *s);                   /* 64 bits; not for secrets */
uint64_t sched_random_below(struct sched *s, uint64_t n); /* 0..n-1; n > 0 */
