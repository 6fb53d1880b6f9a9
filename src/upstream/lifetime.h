/* upstream/lifetime.h - an estimate of how long a pod keeps idle connections open
 *
 * A pod that closes an idle connection need not announce it, and the runtime on the node
 * reports the close up to a second late.  A request sent in that second fails, or waits for
 * the second to pass.  One struct for each port of each pod remembers after how long idle
 * connections were ended there, and how long others were seen to survive, and decides
 * whether one may still carry a request (docs/decisions/081-idle-connections.md).
 *
 * Private to upstream/.  Pure: times come from the caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing is known. */
struct lifetime {
    uint64_t survived_ms; /* the longest idle time after which one was still open */
    uint64_t ended_ms;    /* the limit: the earliest observed end, or a raised guess; 0:
                                no end was observed */
    uint64_t changed_at;  /* when ended_ms was set */
    uint64_t raise_after_ms; /* ended_ms is raised when no earlier end was observed for
                                this long */
    unsigned outlived;       /* connections since changed_at that lasted longer than it */
    uint64_t outlived_ms;    /* all of them lasted at least this long */
    bool raised;             /* ended_ms was raised since the last end */
};

static inline bool lifetime_is_blank(const struct lifetime *l)
{
    return !l->survived_ms && !l->ended_ms;
}

/* May a connection that was idle for idle_ms carry a request?  `repeatable`: the request can
 * be retried, so a failure costs only time. */
bool lifetime_trusts(const struct lifetime *l, uint64_t idle_ms, bool repeatable);

/* A request got a response on a connection that had been idle for idle_ms. */
void lifetime_on_answer(struct lifetime *l, uint64_t idle_ms);

/* The pod ended an idle connection; the end was observed idle_ms after its last response. */
void lifetime_on_end(struct lifetime *l, uint64_t idle_ms, uint64_t now);

/* A request on a connection that had been idle for idle_ms got no response; the end was
 * observed seen_ms after the last response. */
void lifetime_on_failure(struct lifetime *l, uint64_t idle_ms, uint64_t seen_ms,
                         uint64_t now);

/* A connection is still open after idle_ms.  *counted is a flag of this connection, false at
 * first: whether it was counted in `outlived`. */
void lifetime_on_alive(struct lifetime *l, uint64_t idle_ms, uint64_t now, bool *counted);
