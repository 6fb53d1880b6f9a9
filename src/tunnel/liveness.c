/* tunnel/liveness.c - is there anybody at the other end?
 *
 * Silence means death only while an answer could come: a tunnel that waits for a slow client
 * cannot be heard, and one that waits for a slow pod cannot ask.  There the kernel is asked
 * whether its own questions are answered (tcp_is_unanswered), and a pod may take as long as
 * it likes to read.
 */
#include "tunnel/liveness.h"

#include "net/tcp.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"

#define UNANSWERED_MAX 32 /* PINGs: they wait for ever before a worker that is stuck */
#define PROBE_MS 3000 /* after sleep or a change of network something must come in this */

/* Would an answer to a PING come, and come through?  Not behind bytes that nobody takes, nor
 * where one more PING could be the one that stops the session: there TCP has to notice. */
bool tunnel_is_listening(const struct tunnel *t)
{
    return tunnel_is_reading(t) && !t->transport->stuck && !share_is_blind(t) &&
           t->unanswered < UNANSWERED_MAX;
}

/* Of the worker that the next PING goes to. */
static bool may_answer(const struct tunnel *t)
{
    unsigned worker = (t->next_ping - 1) / 2 % WORKERS;
    return t->slots[worker] != SLOT_DEAD && !share_owes_pong(t, worker);
}

/* As many PINGs as it takes for one to go to a worker that may answer. */
static bool ask_for_life(struct tunnel *t)
{
    bool asked = false, enough = false;
    uint32_t id;

    for (int i = 0; i < WORKERS && !enough; i++) {
        enough = may_answer(t);
        asked = frames_ping(t, &id) || asked;
    }
    return asked;
}

/* In a hurry there is no second question: one of the workers will answer. */
static bool ask_all_for_life(struct tunnel *t)
{
    bool asked = false;
    uint32_t id;

    for (int i = 0; i < WORKERS; i++)
        asked = frames_ping(t, &id) || asked;
    return asked;
}

/* Behind what a slow pod has not taken.  PINGs say nothing then, and TCP has to. */
static bool may_stand_still(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (pair_may_have_buried_its_worker(p))
            return true;
    return false;
}

/* Liveness: silence while we were listening means that nobody is there. */
static void on_ping(struct timer *timer)
{
    struct tunnel *t = container_of(timer, struct tunnel, ping);
    const struct tunnel_settings *s = t->origin->settings;
    bool listening = tunnel_is_listening(t);
    uint64_t silent_ms =
        listening && !may_stand_still(t) ? t->ping.sched->now - t->heard_at : 0;

    if (silent_ms >= s->ping_timeout_ms ||
        tcp_is_unanswered(tls_below(t->wire), s->ping_timeout_ms)) {
        tunnel_close(t, ERR_TIMEOUT, "nothing was received within ping-timeout");
        return;
    }
    if (listening && ask_for_life(t))
        task_wake(&t->flush);
    uint64_t patience_ms = s->ping_timeout_ms - silent_ms;
    timer_set(&t->ping, patience_ms < s->ping_ms ? patience_ms : s->ping_ms);
}

void tunnel_probe(struct tunnel *t)
{
    if (t->state != TUNNEL_OPEN || !tunnel_is_listening(t) || !ask_all_for_life(t))
        return;
    t->heard_at = 0; /* what came before says nothing any more */
    task_wake(&t->flush);
    timer_set(&t->ping, PROBE_MS);
}

void liveness_init(struct tunnel *t)
{
    timer_init(&t->ping, t->step.sched, on_ping);
}

void liveness_start(struct tunnel *t)
{
    timer_set(&t->ping, t->origin->settings->ping_ms);
}

void liveness_stop(struct tunnel *t)
{
    timer_stop(&t->ping);
}
