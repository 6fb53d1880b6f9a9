/* net/outside_dial.c - connect to a host outside the cluster, on behalf of a client
 *
 *      start ──▶ on_tick (is the name resolved?) ──▶ begin_next ◀── on_next, on_step
 *
 * The addresses are tried in order; `begun` counts those whose attempt has begun or that
 * may not be connected to.
 */
#include "net/outside_dial.h"

#include <netdb.h>

#include "base/address.h"
#include "base/own.h"
#include "net/name_lookup.h"
#include "net/tcp_dial.h"

#define TICK_MAX_MS 25 /* the longest pause between two looks at a resolver's thread */

struct outside_attempts {
    struct outside_dial *owner;
    struct outside_dialer *by;
    char *host;
    uint64_t until; /* sched ms */
    uint64_t tick_ms;
    struct timer tick, next, deadline;
    struct task step;
    struct name_lookup *lookup; /* NULL: the addresses are known */
    size_t count, begun, open;
    enum err failure; /* of the last attempt that failed; OK: none has */
    struct diag refused, failed;
    struct sockaddr_storage addresses[NAME_LOOKUP_MAX];
    struct tcp_dial dials[NAME_LOOKUP_MAX]; /* zeroed: not begun, or over */
};

static struct sched *sched_of(const struct outside_attempts *a)
{
    return loop_sched(a->by->loop);
}

/* Ends all attempts but for a stream that the owner has by now. */
static void attempts_end(struct outside_dial *d)
{
    struct outside_attempts *a = TAKE(d->attempts);

    if (!a)
        return;
    timer_stop(&a->tick);
    timer_stop(&a->next);
    timer_stop(&a->deadline);
    for (size_t i = 0; i < a->begun; i++)
        tcp_dial_finish(&a->dials[i]);
    task_cancel(&a->step);
    name_lookup_unref(a->lookup);
    free(a->host);
    free(a);
}

static void settle(struct outside_attempts *a, enum err result)
{
    struct outside_dial *d = a->owner;

    d->result = result;
    attempts_end(d);
    task_wake(d->wake);
}

static void fail(struct outside_attempts *a, enum err e, const char *problem)
{
    settle(a, diag_set(&a->owner->why, e, "%s: %s", a->host, problem));
}

/* An address that failed to answer is of more interest than one that may not be tried. */
static void fail_all(struct outside_attempts *a)
{
    if (a->failure)
        fail(a, a->failure, a->failed.text);
    else
        fail(a, ERR_CLOSED, a->refused.text);
}

static void note_failure(struct outside_attempts *a, struct tcp_dial *t)
{
    bool refused = t->result == OK;

    a->failure = refused ? ERR_REFUSED : t->result;
    a->failed = t->why;
    tcp_dial_finish(t);
    *t = (struct tcp_dial){ 0 };
    a->open--;
}

static bool is_connected(const struct tcp_dial *t)
{
    return t->result == OK && t->stream && t->stream->end.verdict == V_OPEN;
}

/* True: it has a result. */
static bool look_at(struct outside_attempts *a, struct tcp_dial *t)
{
    if (!t->wake || t->result == ERR_AGAIN)
        return false;
    if (!is_connected(t)) {
        note_failure(a, t);
        return true;
    }
    a->owner->stream = TAKE(t->stream);
    return true;
}

/* False: this address may not be connected to. */
static bool begin_at(struct outside_attempts *a, size_t i)
{
    const struct sockaddr *to = (const struct sockaddr *)&a->addresses[i];
    uint64_t now = sched_of(a)->now;

    if (a->by->check(to, a->by->own, &a->refused))
        return false;
    a->open++;
    tcp_dial_start(&a->dials[i], a->by->loop, &a->addresses[i],
                   a->until > now ? a->until - now : 1, &a->step);
    return true;
}

/* Begin attempts until one is under way.  It may end the dial. */
static void begin_next(struct outside_attempts *a)
{
    while (a->begun < a->count) {
        size_t i = a->begun++;
        if (!begin_at(a, i))
            continue;
        if (!look_at(a, &a->dials[i])) {
            timer_set(&a->next, OUTSIDE_NEXT_MS);
            return;
        }
        if (a->owner->stream) {
            settle(a, OK);
            return;
        }
    }
    if (!a->open)
        fail_all(a);
}

static void outside_on_next(struct timer *t)
{
    begin_next(container_of(t, struct outside_attempts, next));
}

static void outside_on_step(struct task *task)
{
    struct outside_attempts *a = container_of(task, struct outside_attempts, step);
    bool ended = false;

    for (size_t i = 0; i < a->begun && !a->owner->stream; i++)
        ended |= look_at(a, &a->dials[i]);
    if (a->owner->stream)
        settle(a, OK);
    else if (ended)
        begin_next(a);
}

static void outside_on_deadline(struct timer *t)
{
    struct outside_attempts *a = container_of(t, struct outside_attempts, deadline);

    fail(a, ERR_TIMEOUT, a->lookup ? "its name was not resolved in time" : "no answer");
}

/* Families alternate, from that of the first address on (RFC 8305, section 4). */
static void take_addresses(struct outside_attempts *a, const struct name_lookup *l)
{
    size_t at[2] = { 0, 0 };
    sa_family_t first = l->found[0].ss_family;

    while (a->count < l->count) {
        unsigned turn = a->count % 2;
        for (unsigned tried = 0; tried < 2; tried++, turn ^= 1) {
            size_t i = at[turn];
            while (i < l->count && (l->found[i].ss_family == first) == (turn == 1))
                i++;
            at[turn] = i;
            if (i < l->count)
                break;
        }
        a->addresses[a->count++] = l->found[at[turn]++];
    }
}

static void on_resolved(struct outside_attempts *a)
{
    struct name_lookup *l = TAKE(a->lookup);
    int error = l->error;

    if (!error)
        take_addresses(a, l);
    name_lookup_unref(l);
    if (error || !a->count)
        fail(a, ERR_RESOLVE, error ? gai_strerror(error) : "it has no address");
    else
        begin_next(a);
}

static void outside_on_tick(struct timer *t)
{
    struct outside_attempts *a = container_of(t, struct outside_attempts, tick);

    if (atomic_load(&a->lookup->done)) {
        on_resolved(a);
        return;
    }
    a->tick_ms = a->tick_ms < TICK_MAX_MS ? a->tick_ms + 1 : TICK_MAX_MS;
    timer_set(&a->tick, a->tick_ms);
}

static struct outside_attempts *attempts_create(struct outside_dial *d,
                                                struct outside_dialer *by,
                                                const char *host, uint64_t timeout_ms)
{
    struct outside_attempts *a = xcalloc(1, sizeof(*a));
    struct sched *sched = loop_sched(by->loop);

    a->owner = d;
    a->by = by;
    a->host = xstrdup(host);
    a->until = sched->now + timeout_ms;
    timer_init(&a->tick, sched, outside_on_tick);
    timer_init(&a->next, sched, outside_on_next);
    timer_init(&a->deadline, sched, outside_on_deadline);
    timer_set(&a->deadline, timeout_ms);
    task_init(&a->step, sched, RANK_READ, outside_on_step);
    return a;
}

static void set_port(struct sockaddr_storage *at, uint16_t port)
{
    if (at->ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)at)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)(void *)at)->sin6_port = htons(port);
}

static void resolve(struct outside_attempts *a, uint16_t port)
{
    a->lookup = name_lookup_start(a->by->lookups, a->host, port);
    a->tick_ms = 1;
    if (a->lookup)
        timer_set(&a->tick, a->tick_ms);
    else
        fail(a, ERR_LIMIT, "too many names are being resolved");
}

void outside_dial_start(struct outside_dial *d, struct outside_dialer *by,
                        const char *host, uint16_t port, uint64_t timeout_ms,
                        struct task *wake)
{
    *d = (struct outside_dial){ .result = ERR_AGAIN };
    struct outside_attempts *a = d->attempts = attempts_create(d, by, host, timeout_ms);

    if (address_parse(str_of(host), &a->addresses[0])) {
        set_port(&a->addresses[0], port);
        a->count = 1;
        begin_next(a);
    } else {
        resolve(a, port);
    }
    d->wake = wake; /* not before: the outcome may be known already */
}

void outside_dial_finish(struct outside_dial *d)
{
    attempts_end(d);
    stream_close(TAKE(d->stream));
    d->result = OK;
}
