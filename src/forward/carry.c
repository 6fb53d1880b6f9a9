/* forward/carry.c - a client's connection to a port of a target
 *
 *      WAIT ──▶ OPEN ──▶ TALK ──▶ RELAY ──▶ CLOSED
 *       ▲        │         │
 *       └────────┴─────────┘ nothing was delivered: another pod, or the same one again
 *
 * A container that refuses ends its connection, as it would without a tunnel; one of a
 * workload waits for REFUSED_MS whether another pod takes it.
 */
#include "forward/carry.h"

#include "base/log.h"
#include "base/own.h"
#include "forward/forward_state.h"
#include "forward/target.h"
#include "relay/relay.h"
#include "relay/retry_buffer.h"
#include "tunnel/tunnels.h"

LOG_MODULE(forward);

#define WAIT_MS 30000   /* for a pod */
#define RETRY_MS 200    /* after a failed opening */
#define REFUSED_MS 1500 /* for another pod, after a refusal */
#define LINGER_MS 10000 /* for what a client sent before it closed */
#define ATTEMPTS_MAX 8

#define STATES(X) /* clang-format off */ \
    X(WAIT,   wait)   /* for a pod                                 */ \
    X(OPEN,   open)   /* for a stream to it                        */ \
    X(TALK,   talk)   /* no byte has come from the pod yet         */ \
    X(RELAY,  relay)  /* bytes both ways                           */ \
    X(CLOSED, closed) /* the memory goes when the task has run     */
/* clang-format on */

enum carry_state {
#define X(NAME, name) CARRY_##NAME,
    STATES(X)
#undef X
};

struct carry {
    struct target_client member;
    struct target *target;
    size_t port;
    struct task task;
    enum carry_state state;
    struct timer timer;
    uint64_t deadline;   /* of WAIT */
    uint64_t not_before; /* of the next opening */
    unsigned attempts;
    char *refused_by;            /* key of the pod whose container refused; NULL: none */
    struct stream *client, *pod; /* owned; pod NULL: none */
    struct opening opening;
    struct retry_buffer retry;
    struct relay relay;
    struct peer_watch peer;
    uint64_t linger_until; /* 0: not yet */
    bool clean;            /* both sides have ended in order */
};

#define X(NAME, name) static enum carry_state in_##name(struct carry *c);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum carry_state (*run)(struct carry *c);
} states[] = {
#define X(NAME, name) [CARRY_##NAME] = { #name, in_##name },
    STATES(X)
#undef X
};

static const struct forward_parts *parts_of(const struct carry *c)
{
    return &c->target->forward->parts;
}

static uint64_t now_of(const struct carry *c)
{
    return c->task.sched->now;
}

static uint16_t remote_of(const struct carry *c)
{
    return c->target->pairs[c->port].remote;
}

/* --- states --- */

static enum carry_state give_up(struct carry *c, const char *why)
{
    forward_notice(c->target->forward, "%s: a connection to port %u failed: %s",
                   c->target->label, remote_of(c), why);
    return CARRY_CLOSED;
}

static enum carry_state wait_until(struct carry *c, uint64_t at)
{
    timer_set_at(&c->timer, at < c->deadline ? at : c->deadline);
    return CARRY_WAIT;
}

/* Has a look-up since found no other pod than the one whose container refused? */
static bool is_still_alone(const struct carry *c)
{
    const struct target *t = c->target;

    return t->state == TARGET_READY && !t->stale &&
           strcmp(c->refused_by, t->pod->key) == 0;
}

static enum carry_state in_wait(struct carry *c)
{
    struct endpoint endpoint;

    if (c->refused_by && is_still_alone(c)) /* it was reported */
        return CARRY_CLOSED;
    if (now_of(c) >= c->deadline)
        return give_up(c, "there is no pod that can take it");
    if (now_of(c) < c->not_before)
        return wait_until(c, c->not_before);
    if (!target_endpoint(c->target, &endpoint) ||
        (c->refused_by && strcmp(c->refused_by, endpoint.key) == 0))
        return wait_until(c, c->deadline);
    timer_stop(&c->timer);
    c->attempts++;
    c->opening = (struct opening){ .alone = true };
    connector_open(tunnels_connector(parts_of(c)->tunnels), &endpoint, remote_of(c),
                   &c->opening, &c->task);
    return CARRY_OPEN;
}

static enum carry_state try_again(struct carry *c, uint64_t pause_ms)
{
    target_suspect(c->target);
    c->not_before = now_of(c) + pause_ms;
    return CARRY_WAIT;
}

static enum carry_state in_open(struct carry *c)
{
    if (c->opening.result == ERR_AGAIN)
        return CARRY_OPEN;
    if (c->opening.result) {
        opening_finish(&c->opening);
        return try_again(c, RETRY_MS);
    }
    c->pod = TAKE(c->opening.stream);
    opening_finish(&c->opening);
    c->pod->wake = &c->task;
    retry_buffer_rewind(&c->retry);
    /* its limit is below that of a queue, so that this is all of it */
    bool all = retry_buffer_replay(&c->retry, &c->pod->out);
    stream_update(c->pod);
    return all ? CARRY_TALK : give_up(c, "too much was sent before it opened");
}

/* Move what the client sent, and keep a copy while it fits. */
static void send_first(struct carry *c)
{
    struct bufq *from = &c->client->in, *to = &c->pod->out;
    size_t n = from->len < bufq_room(to) ? from->len : bufq_room(to);

    retry_buffer_keep(&c->retry, from, n);
    bufq_move_n(to, from, n);
    c->client->paused = c->pod->stuck;
    stream_update(c->client);
    stream_update(c->pod);
}

/* Was nothing delivered, so that it can be sent again? */
static bool may_repeat(const struct carry *c)
{
    enum verdict verdict = c->pod->end.verdict;
    bool undelivered = verdict == V_REFUSED || verdict == V_TARGET_GONE ||
                       verdict == V_UNPROCESSED ||
                       (verdict == V_TRANSPORT_LOST && !c->retry.held.len);

    return undelivered && c->retry.complete && c->attempts < ATTEMPTS_MAX;
}

static enum carry_state on_refusal(struct carry *c)
{
    struct endpoint endpoint;
    bool other = c->target->spec->kind != FORWARD_POD && may_repeat(c);

    forward_notice(c->target->forward, "%s: port %u refused a connection: %s",
                   c->target->label, remote_of(c),
                   diag_text(&c->pod->end.why, ERR_REFUSED));
    stream_abort(TAKE(c->pod));
    if (!other || c->refused_by || !target_endpoint(c->target, &endpoint))
        return CARRY_CLOSED;
    c->refused_by = xstrdup(endpoint.key);
    c->deadline = now_of(c) + REFUSED_MS;
    return try_again(c, 0);
}

static enum carry_state on_early_end(struct carry *c)
{
    if (c->pod->end.verdict == V_REFUSED)
        return on_refusal(c);
    if (!may_repeat(c))
        return give_up(c, diag_text(&c->pod->end.why, ERR_RESET));
    stream_abort(TAKE(c->pod));
    return try_again(c, RETRY_MS);
}

static enum carry_state in_talk(struct carry *c)
{
    struct stream *pod = c->pod;

    if (pod->end.verdict != V_OPEN && pod->broken && bufq_empty(&pod->in))
        return on_early_end(c);
    if (bufq_empty(&pod->in) && !pod->in_eof && !c->client->in_eof) {
        send_first(c);
        return CARRY_TALK;
    }
    retry_buffer_stop(&c->retry);
    relay_start(&c->relay, c->client, pod, parts_of(c)->half_close, &c->task);
    return CARRY_RELAY;
}

static enum carry_state in_relay(struct carry *c)
{
    relay_run(&c->relay);
    if (!relay_done(&c->relay))
        return CARRY_RELAY;
    c->clean = relay_clean(&c->relay);
    if (!c->clean && c->pod->end.verdict == V_TRANSPORT_LOST)
        return give_up(c, diag_text(&c->pod->end.why, ERR_RESET));
    return CARRY_CLOSED;
}

static enum carry_state in_closed(struct carry *c)
{
    (void)c;
    return CARRY_CLOSED;
}

/* --- the end --- */

static void end_streams(struct carry *c)
{
    struct stream *pod = c->pod;
    bool quiet = pod && !pod->broken && bufq_empty(&pod->in) && bufq_empty(&pod->out);

    relay_finish(&c->relay);
    opening_finish(&c->opening);
    if (c->clean || (c->client->in_eof && quiet))
        stream_close(TAKE(c->pod));
    else
        stream_abort(TAKE(c->pod));
    if (c->clean)
        stream_close(TAKE(c->client));
    else
        stream_abort(TAKE(c->client));
}

/* The only road from one state to another. */
static void carry_enter(struct carry *c, enum carry_state next)
{
    log_debug(NO_ID, "connection", LOG_S("target", c->target->label),
              LOG_S("from", states[c->state].name), LOG_S("to", states[next].name));
    c->state = next;
    if (next != CARRY_CLOSED)
        return;
    end_streams(c);
    peer_watch_stop(&c->peer);
    timer_stop(&c->timer);
    retry_buffer_finish(&c->retry);
}

static void carry_free(struct carry *c)
{
    task_cancel(&c->task);
    list_remove(&c->member.node);
    c->target->forward->connections--;
    free(c->refused_by);
    free(c);
}

static bool has_sent_all(const struct carry *c)
{
    return bufq_empty(&c->client->in) && (c->pod ? bufq_empty(&c->pod->out) : true);
}

/* A client that is gone; what it sent before is passed on for a while. */
static bool is_abandoned(struct carry *c)
{
    if (c->client->in_eof || c->client->paused || bufq_full(&c->client->in))
        peer_watch_start(&c->peer, c->client, &c->task);
    if (c->client->broken || c->peer.reset)
        return true;
    if (!c->peer.gone)
        return false;
    if (!c->linger_until) {
        c->linger_until = now_of(c) + LINGER_MS;
        timer_set_at(&c->timer, c->linger_until);
    }
    return has_sent_all(c) || now_of(c) >= c->linger_until;
}

static void carry_on_wake(struct task *t)
{
    struct carry *c = container_of(t, struct carry, task);

    while (c->state != CARRY_CLOSED) {
        enum carry_state next = is_abandoned(c) ? CARRY_CLOSED : states[c->state].run(c);
        if (next == c->state && !is_abandoned(c))
            return;
        if (next != c->state)
            carry_enter(c, next);
    }
    carry_free(c);
}

static void carry_on_timer(struct timer *timer)
{
    task_wake(&container_of(timer, struct carry, timer)->task);
}

static void carry_kill(struct target_client *member)
{
    struct carry *c = container_of(member, struct carry, member);

    if (c->state != CARRY_CLOSED)
        carry_enter(c, CARRY_CLOSED);
    carry_free(c);
}

void carry_open(struct target *t, size_t port, struct stream *client)
{
    struct carry *c = xcalloc(1, sizeof(*c));
    struct forward *f = t->forward;

    c->target = t;
    c->port = port;
    c->client = client;
    c->deadline = f->sched->now + WAIT_MS;
    f->connections++;
    task_init(&c->task, f->sched, RANK_WORK, carry_on_wake);
    timer_init(&c->timer, f->sched, carry_on_timer);
    retry_buffer_init(&c->retry, loop_pool(f->parts.loop));
    retry_buffer_start(&c->retry, f->parts.replay_buffer);
    c->member = (struct target_client){ .wake = &c->task, .kill = carry_kill };
    list_append(&t->clients, &c->member.node);
    client->wake = &c->task;
    task_wake(&c->task);
}
