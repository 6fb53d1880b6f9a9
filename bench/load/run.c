/* bench/load/run.c - carry out a plan: one thread, one epoll, a few connections */
#include "bench/load/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/client.h"

#define SCRATCH_LEN 262144
#define EVENTS 64
#define TICK_NS                                                                          \
    (100 * 1000000ull) /* how often clocks are looked at when nothing happens */

/* Evenly spread over the time between two requests of one client, so that what is
 * measured is a stream of requests and not bursts of as many as there are connections. */
static struct client *create_clients(struct run *r)
{
    const struct plan *p = r->plan;
    struct client *clients = xcalloc(p->connections, sizeof(*clients));

    for (size_t i = 0; i < p->connections; i++) {
        double offset = p->rate > 0 ? 1e9 * (double)i / p->rate : 0;
        client_init(&clients[i], r, r->now + (uint64_t)offset);
    }
    return clients;
}

static uint64_t total_failures(const struct tally *t)
{
    uint64_t total = 0;
    for (size_t i = 0; i < FAILURE_KINDS; i++)
        total += t->failures[i];
    return total;
}

static bool over(const struct run *r)
{
    const struct plan *p = r->plan;

    if (!r->counting)
        return false;
    if (r->now - r->started >= p->duration_ns)
        return true;
    return p->requests && r->tally.requests + total_failures(&r->tally) >= p->requests;
}

/* Wakes every client whose time has come; returns the time of the next one. */
static uint64_t step_due(struct run *r, struct client *clients)
{
    uint64_t next = r->now + TICK_NS;

    for (size_t i = 0; i < r->plan->connections; i++) {
        struct client *c = &clients[i];
        client_look_at_clock(c);
        if (c->state == CLIENT_WAITS && c->due <= r->now)
            client_step(c, 0);
        if (c->state == CLIENT_WAITS && c->due < next && !run_has_begun_all(r))
            next = c->due;
    }
    return next;
}

static void wait_for_events(struct run *r, uint64_t until)
{
    struct epoll_event events[EVENTS];
    uint64_t now = monotonic_ns();
    uint64_t left = until > now ? until - now : 0;
    struct timespec timeout = { .tv_sec = (time_t)(left / 1000000000),
                                .tv_nsec = (long)(left % 1000000000) };

    int n = epoll_pwait2(r->epoll, events, EVENTS, &timeout, NULL);
    r->now = monotonic_ns();
    for (int i = 0; i < n; i++)
        client_step(events[i].data.ptr, events[i].events);
}

static void turn(struct run *r, struct client *clients, uint64_t limit)
{
    uint64_t next = step_due(r, clients);
    wait_for_events(r, next < limit ? next : limit);
}

static void settle(struct run *r, struct client *clients)
{
    uint64_t until = r->now + r->plan->settle_ns;
    while (r->now < until)
        turn(r, clients, until);
}

static void run_counted(struct run *r, struct client *clients)
{
    r->counting = true;
    r->now = r->started = monotonic_ns();
    while (!over(r))
        turn(r, clients, r->started + r->plan->duration_ns);
}

enum err run_plan(const struct plan *p, void (*on_counting)(void),
                  void (*on_counted)(const struct tally *t, uint64_t took_ns))
{
    struct run r = { .plan = p, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    if (r.epoll < 0)
        return ERR_IO;

    prctl(PR_SET_TIMERSLACK, 1000ul);
    AUTO_FREE char *scratch = xcalloc(1, SCRATCH_LEN);
    r.scratch = scratch;
    r.scratch_len = SCRATCH_LEN;
    r.now = monotonic_ns();
    samples_init(&r.tally.latencies);
    AUTO_FREE struct client *clients = create_clients(&r);

    settle(&r, clients);
    on_counting();
    run_counted(&r, clients);
    on_counted(&r.tally, r.now - r.started);

    for (size_t i = 0; i < p->connections; i++)
        client_finish(&clients[i]);
    samples_finish(&r.tally.latencies);
    close(r.epoll);
    return OK;
}
