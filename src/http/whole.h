/* http/whole.h - put something into a queue whole, though it may pass the limit
 *
 * Heads and pages are bounded by themselves (max-head-size, and a few KiB), and to stop
 * in the middle of one would take a state of its own.  So they are written whole, once
 * the queue has any room: a queue holds at most one of them more than its limit.
 */
#pragma once

#include "base/bufq.h"

static inline size_t whole_begin(struct bufq *q)
{
    size_t limit = q->limit;
    q->limit = SIZE_MAX;
    return limit;
}

static inline void whole_end(struct bufq *q, size_t limit)
{
    q->limit = limit;
}

static inline void put_str(struct bufq *q, struct str s)
{
    bufq_write(q, s.at, s.len);
}
