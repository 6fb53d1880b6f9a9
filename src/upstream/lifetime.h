/* upstream/lifetime.h - how long a pod keeps idle connections, as far as it was seen
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
    uint64_t survived_ms; /* a connection was open after so long without a request */
    uint64_t ended_ms;    /* the earliest end that counts, as it was seen; 0: none */
    uint64_t changed_at;  /* ended_ms was set */
    uint64_t patience_ms; /* it is raised after so long without an earlier end */
    unsigned outlived;    /* connections since then that lasted longer */
    uint64_t outlived_ms; /* all of them this long */
    bool raised;          /* ended_ms is a guess upward */
};

static inline bool lifetime_is_blank(const struct lifetime *l)
{
    return !l->survived_ms && !l->ended_ms;
}

/* May a connection carry a request after so long without one?  `repeatable`: a failure
 * costs time only. */
bool lifetime_trusts(const struct lifetime *l, uint64_t idle_ms, bool repeatable);

/* A request was answered on a connection that had been idle for so long. */
void lifetime_on_answer(struct lifetime *l, uint64_t idle_ms);

/* The pod ended an idle connection; it was seen idle_ms after its last answer. */
void lifetime_on_end(struct lifetime *l, uint64_t idle_ms, uint64_t now);

/* A request on a connection that had been idle for idle_ms got no answer; the end was seen
 * seen_ms after the last answer. */
void lifetime_on_failure(struct lifetime *l, uint64_t idle_ms, uint64_t seen_ms,
                         uint64_t now);

/* A connection is open after so long.  *counted belongs to it, false at first: it was seen
 * to outlive the limit. */
void lifetime_on_alive(struct lifetime *l, uint64_t idle_ms, uint64_t now, bool *counted);
