/* upstream/lifetime.c - how long a pod keeps idle connections
 *
 * THEORY OF OPERATION
 *
 *      last answer        the pod closes          the end is seen
 *           ├──────────────────┼───────────────────────┤
 *           │    time-out      │   hidden: up to 1 s   │
 *           │◀────────────── ended_ms ────────────────▶│
 *
 * It is not known how much of the hidden second has to be subtracted.  For a request that can
 * be retried an error costs time, so HIDDEN_MS is little more than the second.  For others it
 * costs a 502, so UNSAFE_HIDDEN_MS allows for a slow network and a busy machine, and half of
 * the rest is used.  With a pod that closes at once, neither gets an idle connection.  While
 * no end was seen, a request that can be retried may use any connection, and others those that
 * were idle for less than half of what was seen to survive: none at first.
 *
 * The earliest end is the limit, because a pod that ended one connection early may end the
 * next.  The limit is doubled after patience_ms without an earlier end, when CONNECTIONS_MIN
 * connections have outlived it.  Each time an earlier end follows, patience_ms is doubled.
 */
#include "upstream/lifetime.h"

#define HIDDEN_MS 1100
#define UNSAFE_HIDDEN_MS 1500
#define ENDED_MIN_MS 1000 /* no end counts as earlier: twice this is usable */
#define JITTER_MS 500     /* ends of one time-out are seen this far apart */
#define CONNECTIONS_MIN 4
#define PATIENCE_MS 5000
#define PATIENCE_MAX_MS 3600000

static uint64_t less(uint64_t ms, uint64_t taken_off)
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
        return !l->ended_ms || idle_ms < less(l->ended_ms, HIDDEN_MS);
    uint64_t kept_ms = l->ended_ms ? less(l->ended_ms, UNSAFE_HIDDEN_MS) : l->survived_ms;
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
    if (l->outlived < CONNECTIONS_MIN || now - l->changed_at < l->patience_ms)
        return;
    l->ended_ms = min(l->ended_ms * 2, l->outlived_ms);
    l->changed_at = now;
    l->outlived = 0;
    l->raised = true;
}

static void note_earlier(struct lifetime *l, uint64_t seen_ms, uint64_t now)
{
    if (!l->patience_ms)
        l->patience_ms = PATIENCE_MS;
    else if (l->raised)
        l->patience_ms = min(l->patience_ms * 2, PATIENCE_MAX_MS);
    l->ended_ms = seen_ms;
    l->survived_ms = min(l->survived_ms, less(seen_ms, UNSAFE_HIDDEN_MS));
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

/* The pod had closed it when the request was sent, whenever that was seen. */
void lifetime_on_failure(struct lifetime *l, uint64_t idle_ms, uint64_t seen_ms,
                         uint64_t now)
{
    lifetime_on_end(l, min(seen_ms, idle_ms + HIDDEN_MS), now);
}

void lifetime_on_alive(struct lifetime *l, uint64_t idle_ms, uint64_t now, bool *counted)
{
    if (!l->ended_ms) {
        lifetime_on_answer(l, less(idle_ms, UNSAFE_HIDDEN_MS));
        return;
    }
    if (*counted || idle_ms < l->ended_ms * 2)
        return;
    *counted = true;
    note_outlived(l, idle_ms, now);
}
