/* base/sched.h - the run queue, the clock, timers and randomness of one loop
 *
 * Every object with a lifetime has a task.  Waking a task only puts it on a list;
 * sched_run calls it later, from the bottom of the stack, so no task runs inside another.
 * Ranks run in order, and a rank runs only while the lower ones are empty: transports
 * read first, exchanges handle the received bytes, then each transport flushes once per
 * turn, so that many small frames are sent in one TLS record.
 *
 * No event loop in here: net/loop.c drives it from libuv, tests call sched_run(s, now).
 *
 * Time in which the process did not run (SIGSTOP, a frozen machine, a debugger) does not
 * count: otherwise deadlines would pass before the bytes received meanwhile were read.
 * When the clock is far beyond the first timer, the queue's own clock stands still until
 * the sockets have been polled once, and goes on from there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum rank { RANK_READ, RANK_WORK, RANK_FLUSH };
#define RANKS 3

#define SCHED_STOPPED_MS 1000 /* if a timer is later than this, the process was stopped */

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
    uint64_t queued; /* private: the time by which the heap sorts it, <= at */
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
    uint64_t held;     /* private: ms by which the real clock is ahead of `now` */
    bool stands;       /* private: stopped, and the sockets were not polled since */
    uint64_t stopped;  /* how long the last stop was, in ms */
    struct task *wake; /* woken after a stop, once the sockets were polled; or NULL */
};

void sched_init(struct sched *s, uint64_t seed);
void sched_finish(struct sched *s);

/* Fire the timers due at `now`, then run tasks until no rank has one. */
void sched_run(struct sched *s, uint64_t now);
/* The same at this reading of the real clock, without the time in which the process was
 * stopped.  polled: after a poll of the sockets. */
void sched_turn(struct sched *s, uint64_t real, bool polled);
/* Bring `now` up to date within a turn. */
void sched_tick(struct sched *s, uint64_t real);
/* ms until something is due: 0 with yielded tasks, UINT64_MAX with nothing to wait for.
 */
uint64_t sched_wait(const struct sched *s);

uint64_t sched_random(struct sched *s);                   /* 64 bits; not for secrets */
uint64_t sched_random_below(struct sched *s, uint64_t n); /* 0..n-1; n > 0 */
