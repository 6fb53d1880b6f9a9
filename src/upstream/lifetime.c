/* upstream/lifetime.c - how long a pod keeps idle connections
 *
 * THEORY OF OPERATION
 *
 *      last response      the pod closes          the end is observed
 *           ├──────────────────┼───────────────────────┤
 *           │    time-out      │   hidden: up to 1 s   │
 *           │◀────────────── ended_ms ────────────────▶│
 *
 * The pod's time-out is ended_ms less the hidden part, which is unknown.  For a request that
 * can be retried an error only costs time, so HIDDEN_MS, little more than a second, is
 * subtracted.  Other requests would fail with a 502, so UNSAFE_HIDDEN_MS allows for a slow
 * network and a busy machine, and only half of the remaining time is used.  If a pod closes
 * connections at once, no request gets an idle one.  While no end was observed, a request that
 * can be retried may use any idle connection.  Others may use those that were idle for less
 * than half of survived_ms, which is 0 at first.
 *
 * The earliest end is the limit, because a pod that ended one connection early may do so
 * again.  The limit is doubled after raise_after_ms without an earlier end, if CONNECTIONS_MIN
 * connections have outlived it.  If an earlier end follows, raise_after_ms is doubled.
 */
#include "upstream/lifetime.h"

#define HIDDEN_MS 1100
#define UNSAFE_HIDDEN_MS 1500
#define ENDED_MIN_MS 1000 /* smallest ended_ms; so that doubling it has an effect */
#define JITTER_MS 500     /* ends by one time-out are observed up to this far apart */
#define CONNECTIONS_MIN 4
#define RAISE_AFTER_MS 5000
#define RAISE_AFTER_MAX_MS 3600000

static uint64_t subtract(uint64_t ms, uint64_t taken_off)
{
    return ms > taken_off ? ms - taken_off : 0;
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool lifetime_trusts(const struct lifetime *l, uint64_t idle_ms, bool repeatable)
{
    if (repeatable)
        return !l->ended_ms || idle_ms < subtract(l->ended_ms, HIDDEN_MS);
    uint64_t kept_ms =
        l->ended_ms ? subtract(l->ended_ms, UNSAFE_HIDDEN_MS) : l->survived_ms;
    return idle_ms < kept_ms / 2;
}

void lifetime_on_answer(struct lifetime *l, uint64_t idle_ms)
{
    if (idle_ms > l->survived_ms)
        l->survived_ms = idle_ms;
}

static void note_outlived(struct lifetime *l, uint64_t seen_ms, uint64_t now)
{
    l->outlived_ms = l->outlived++ ? min(l->outlived_ms, seen_ms) : seen_ms;
    if (l->outlived < CONNECTIONS_MIN || now - l->changed_at < l->raise_after_ms)
        return;
    l->ended_ms = min(l->ended_ms * 2, l->outlived_ms);
    l->changed_at = now;
    l->outlived = 0;
    l->raised = true;
}

static void note_earlier(struct lifetime *l, uint64_t seen_ms, uint64_t now)
{
    if (!l->raise_after_ms)
        l->raise_after_ms = RAISE_AFTER_MS;
    else if (l->raised)
        l->raise_after_ms = min(l->raise_after_ms * 2, RAISE_AFTER_MAX_MS);
    l->ended_ms = seen_ms;
    l->survived_ms = min(l->survived_ms, subtract(seen_ms, UNSAFE_HIDDEN_MS));
    l->changed_at = now;
    l->outlived = 0;
    l->raised = false;
}

void lifetime_on_end(struct lifetime *l, uint64_t idle_ms, uint64_t now)
{
    uint64_t seen_ms = idle_ms > ENDED_MIN_MS ? idle_ms : ENDED_MIN_MS;

    if (!l->ended_ms || seen_ms < l->ended_ms)
        note_earlier(l, seen_ms, now);
    else if (seen_ms > l->ended_ms + JITTER_MS)
        note_outlived(l, seen_ms, now);
}

/* The pod had closed the connection before the request was sent, even if the end was observed
 * later. */
void lifetime_on_failure(struct lifetime *l, uint64_t idle_ms, uint64_t seen_ms,
                         uint64_t now)
{
    lifetime_on_end(l, min(seen_ms, idle_ms + HIDDEN_MS), now);
}

void lifetime_on_alive(struct lifetime *l, uint64_t idle_ms, uint64_t now, bool *counted)
{
    if (!l->ended_ms) {
        lifetime_on_answer(l, subtract(idle_ms, UNSAFE_HIDDEN_MS));
        return;
    }
    if (*counted || idle_ms < l->ended_ms * 2)
        return;
    *counted = true;
    note_outlived(l, idle_ms, now);
}
