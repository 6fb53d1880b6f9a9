/* bench/load/run.h - carry out a plan: one thread, one epoll, a few connections */
#pragma once

#include "base/err.h"
#include "bench/load/plan.h"

/* Blocks until the plan is done.  on_counting is called when the settling time is over
 * (at once without any), on_counted when the last request that counts is complete or the
 * time is up: both before anything is closed.
 *
 * OK         the plan was carried out, with whatever failures the tally has
 * ERR_IO     no epoll; nothing was done */
MUST_CHECK enum err run_plan(const struct plan *p, void (*on_counting)(void),
                             void (*on_counted)(const struct tally *t, uint64_t took_ns));
