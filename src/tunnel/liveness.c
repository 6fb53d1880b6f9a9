#include "tunnel/liveness.h"

#include "net/tcp.h"
#include "net/tls.h"

#define CHECK_NOW_MS 3000 /* after sleep or a change of network */

void liveness_init(struct liveness *l, struct pings *pings,
                   const struct worker_slots *slots, struct sched *sched,
                   void (*on_due)(struct timer *))
{
    l->pings = pings;
    l->slots = slots;
    timer_init(&l->due, sched, on_due);
}

void liveness_start(struct liveness *l, struct stream *wire, uint64_t ping_ms,
                    uint64_t timeout_ms)
{
    l->wire = wire;
    l->ping_ms = ping_ms;
    l->timeout_ms = timeout_ms;
    liveness_on_received(l);
    timer_set(&l->due, ping_ms);
}

void liveness_stop(struct liveness *l)
{
    timer_stop(&l->due);
}

void liveness_on_received(struct liveness *l)
{
    l->received_at = l->due.sched->now;
}

static bool next_worker_may_answer(const struct liveness *l)
{
    unsigned worker = worker_of_ping(l->pings->next);
    const struct credit *credit = l->pings->credit;
    bool owes_pong = credit && credit->workers[worker].pings > 0;

    return l->slots->state[worker] != SLOT_DEAD && !owes_pong;
}

/* Send PINGs until one has gone to a worker that is not known to be stuck. */
static bool send_pings(struct liveness *l)
{
    bool sent = false, enough = false;
    uint32_t id;

    for (int i = 0; i < WORKERS && !enough; i++) {
        enough = next_worker_may_answer(l);
        sent = pings_send(l->pings, &id) || sent;
    }
    return sent;
}

bool liveness_check(struct liveness *l, bool can_receive_pong, bool conclusive,
                    bool *ret_sent)
{
    uint64_t silent_ms =
        can_receive_pong && conclusive ? l->due.sched->now - l->received_at : 0;

    *ret_sent = false;
    if (silent_ms >= l->timeout_ms || tcp_is_unanswered(l->wire, l->timeout_ms))
        return false;
    if (can_receive_pong)
        *ret_sent = send_pings(l);
    uint64_t left_ms = l->timeout_ms - silent_ms;
    timer_set(&l->due, left_ms < l->ping_ms ? left_ms : l->ping_ms);
    return true;
}

/* One PING for each worker, since any of them may be stuck. */
bool liveness_check_now(struct liveness *l)
{
    bool sent = false;
    uint32_t id;

    for (int i = 0; i < WORKERS; i++)
        sent = pings_send(l->pings, &id) || sent;
    if (!sent)
        return false;
    l->received_at = 0; /* bytes received before prove nothing */
    timer_set(&l->due, CHECK_NOW_MS);
    return true;
}
